//! The verb that invites: offers, the line to type on the other machine, and the network that a wearable is given.

use std::io::{self, BufRead, IsTerminal, Write};

use host::exit::{Exit, Stop};
use protocol::{
    id::PatientId,
    pairing::{code::PairingCode, network::NetworkCredentials},
};
use zeroize::Zeroizing;

use super::{Common, line};
use crate::{
    control::{Request, client::Client},
    ward::view::{OfferView, Status},
};

pub(super) async fn pair(
    common: &Common,
    wearable: bool,
    patient: PatientId,
    replace: bool,
    code: Option<PairingCode>,
    network: Option<NetworkCredentials>,
    count: u16,
) -> Result<(), Stop> {
    let mut client: Client = common.target().connect().await?;
    let status: Status = client.request(&Request::Status {}).await?;
    let kind = if wearable { "wearable" } else { "patient" };
    let shown_here = code.is_none();
    let request = Request::Pair {
        kind: kind.into(),
        patient: patient.to_string(),
        replace,
        code: code.map(|code| code.to_string()),
        network: network.map(|network| (network.ssid().to_owned(), network.expose().to_owned())),
    };
    for _ in 0..count {
        let offer: OfferView = client.request(&request).await?;
        if common.json {
            line(&serde_json::to_string(&offer).unwrap_or_default());
        } else if shown_here {
            line(&format!("code {}   good for 10 minutes and 3 tries", offer.code));
            line(&format!("type on the {kind}'s machine:  {}", pairing_line(&status, &offer)));
        } else {
            line(&format!("the wearable with code {} may pair for {patient} now", offer.code));
        }
    }
    Ok(())
}

/// The exact line to type on the client's machine.
#[must_use]
pub fn pairing_line(status: &Status, offer: &OfferView) -> String {
    let address = |listen: &str, default: &str| {
        if listen == default { String::new() } else { format!(" --gateway {listen}") }
    };
    if offer.kind == "patient" {
        let gateway = address(&status.patients_listen, "127.0.0.1:7300");
        format!("patient --id {} --doctor_id {}{gateway} --pair {}", offer.patient, status.doctor, offer.code)
    } else {
        let gateway = address(&status.wearables_listen, "127.0.0.1:7301");
        format!("wearable{gateway} --pair {}", offer.code)
    }
}

/// The passphrase of a network, from standard input: it must not stand on a command line, which others can see.
pub(super) fn network(ssid: String) -> Result<NetworkCredentials, Stop> {
    let input = io::stdin();
    if input.is_terminal() {
        write!(io::stderr(), "passphrase of {ssid} (it shows as you type; empty for an open network): ").ok();
    }
    let mut passphrase = Zeroizing::new(String::with_capacity(128));
    let read = input.lock().read_line(&mut passphrase);
    read.map_err(|error| Stop::new(Exit::Usage, format!("no passphrase on standard input: {error}")))?;
    let typed = Zeroizing::new(passphrase.trim_end_matches(['\r', '\n']).to_owned());
    NetworkCredentials::new(ssid, typed).map_err(|error| Stop::new(Exit::Usage, error.to_string()))
}
