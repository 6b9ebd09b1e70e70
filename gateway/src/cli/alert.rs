//! The verb that broadcasts, or calls off, and waits for receipts.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use host::exit::{Exit, Stop};

use super::{Common, line, print::receipts};
use crate::{
    control::Request,
    ward::view::{AlertReport, PatientView},
};

pub(super) async fn alert(
    common: &Common,
    text: Option<String>,
    to: &str,
    cancel: Option<String>,
    wait: Duration,
    expires: Duration,
    yes: bool,
) -> Result<Exit, Stop> {
    let mut client = common.target().connect().await?;
    let to: Option<Vec<String>> =
        (to != "all").then(|| to.split(',').map(|id| id.trim().to_owned()).collect());
    if !yes && io::stdin().is_terminal() && io::stdout().is_terminal() {
        let patients: Vec<PatientView> = client.request(&Request::Patients {}).await?;
        let count = to.as_ref().map_or(patients.len(), Vec::len);
        if !confirmed(&format!("Send to {count} patients? y/N ")) {
            return Err(Stop::new(Exit::Failed, "not sent"));
        }
    }
    let text = text.unwrap_or_else(|| "The earlier alert is called off.".into());
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let request =
        Request::Alert { text, to, wait_ms: millis(wait), expires_ms: millis(expires), cancels: cancel };
    let report: AlertReport = client.request(&request).await?;
    if common.json {
        line(&serde_json::to_string(&report).unwrap_or_default());
    } else {
        line(receipts(&report).trim_end());
    }
    let complete = report.recipients > 0 && report.missing.is_empty();
    Ok(if complete { Exit::Done } else { Exit::InPart })
}

fn confirmed(question: &str) -> bool {
    let mut out = io::stdout();
    let mut answer = String::new();
    let asked = write!(out, "{question}").and_then(|()| out.flush());
    asked.and_then(|()| io::stdin().read_line(&mut answer)).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
