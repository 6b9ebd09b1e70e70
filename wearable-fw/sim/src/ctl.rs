//! `wearable ctl`: a person's or script's end of the control socket.

use std::{io::Write, path::PathBuf};

use anyhow::Context;
use clap::Args as Arguments;
use host::{
    control::Caller,
    datadir,
    exit::{Exit, Stop},
};
use protocol::id::WearableName;
use serde_json::Value;

use crate::{
    act::{self, Act},
    control::Request,
};

/// Which running wearable is meant.
#[derive(Debug, Clone, Arguments)]
pub struct Target {
    /// What people call it
    #[arg(long, value_name = "NAME", default_value = "W001")]
    pub name: WearableName,

    /// Its data folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Target {
    /// Its data folder.
    ///
    /// # Errors
    /// [`Stop`]: an unknown name, or no place for data.
    pub fn folder(&self) -> Result<PathBuf, Stop> {
        Ok(datadir::resolve("wearable", self.name.as_str(), self.data_dir.as_deref(), false)?)
    }
}

/// What a person typed behind `ctl`.
#[derive(Debug, Clone, Arguments)]
#[command(after_help = format!("WORDS:\n  status | watch | words\n{}", act::WORDS))]
pub struct CtlArgs {
    /// Which one
    #[command(flatten)]
    pub target: Target,

    /// `status` as one JSON object
    #[arg(long)]
    pub json: bool,

    /// What to do, such as: finger off
    #[arg(value_name = "WORDS", required = true, allow_negative_numbers = true)]
    pub words: Vec<String>,
}

/// What a person typed behind `press`.
#[derive(Debug, Clone, Arguments)]
pub struct PressArgs {
    /// Which one
    #[command(flatten)]
    pub target: Target,

    /// Hold it for so many seconds: 2 open a pairing window, 10 ask for the factory reset
    #[arg(long, value_name = "SECONDS")]
    pub hold: Option<String>,
}

impl From<PressArgs> for CtlArgs {
    fn from(PressArgs { target, hold }: PressArgs) -> Self {
        let words = hold.map_or_else(|| "press".into(), |seconds| format!("hold {seconds}"));
        Self { target, json: false, words: vec!["button".into(), words] }
    }
}

/// Does what the words say to a running wearable: an act, `status`, `watch` or `words`.
///
/// # Errors
/// A [`Stop`]: words that mean nothing, no such wearable running, or what the wearable refused.
pub async fn run(args: &CtlArgs, out: &mut (impl Write + Send)) -> anyhow::Result<()> {
    let request = match args.words.join(" ").as_str() {
        "words" => return Ok(writeln!(out, "status | watch | words\n{}", act::WORDS)?),
        "status" => Request::Status {},
        "watch" => Request::Watch {},
        words => {
            let what: Act =
                words.parse().map_err(|unclear: act::Unclear| Stop::new(Exit::Usage, unclear.to_string()))?;
            Request::Do { what }
        }
    };
    let name = &args.target.name;
    let mut wearable = Caller::connect("wearable", &args.target.folder()?).await.map_err(|_| {
        Stop::new(
            Exit::Unavailable,
            format!("no wearable {name} runs here; start one with: wearable --name {name}"),
        )
    })?;
    match request {
        Request::Watch {} => {
            wearable.send(&request).await.context("the wearable went away")?;
            while let Some(line) = wearable.next_event::<Value>().await {
                writeln!(out, "{line}")?;
                out.flush()?;
            }
        }
        Request::Status {} => {
            let status: Value = wearable.request(&request).await?;
            if args.json {
                writeln!(out, "{status}")?;
            } else {
                out.write_all(text(&status).as_bytes())?;
            }
        }
        Request::Do { what: Act::Stop } => match wearable.request::<()>(&request).await {
            Err(refused) if Stop::exit_of(&refused) != Exit::Unavailable => return Err(refused.into()),
            // Its answer, or the end of the connection before it: what matters is that it has ended when this returns.
            _ => while wearable.next_event::<Value>().await.is_some() {},
        },
        Request::Do { .. } => {
            wearable.request::<()>(&request).await?;
            // It is done; after `finish` nobody may be there to tell more.
            let status: Option<Value> = wearable.request(&Request::Status {}).await.ok();
            let code = status.as_ref().and_then(|status| status.get("code")).and_then(Value::as_str);
            let window = code.map(|code| format!("; a pairing window is open, enter at the gateway: {code}"));
            writeln!(out, "done{}", window.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// One line for each thing that is known.
fn text(status: &Value) -> String {
    let fields = status.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    fields.fold(String::new(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        text + &format!("{:<14} {value}\n", name.replace('_', " "))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
    };

    use super::*;

    #[test]
    fn json_is_asked_for_before_or_behind_the_words_and_less_is_a_word() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: CtlArgs,
        }
        let parse = |line: &str| Line::try_parse_from(line.split(' ')).unwrap().args;
        assert!(parse("ctl status --json").json && parse("ctl --json status").json);
        let args = parse("ctl temperature -0.5 --name W002");
        assert_eq!((args.words.join(" ").as_str(), args.target.name.as_str()), ("temperature -0.5", "W002"));
    }

    #[tokio::test]
    async fn an_act_that_ends_the_wearable_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let target = Target { name: "W001".parse().unwrap(), data_dir: Some(folder.path().to_owned()) };
        let args = CtlArgs { target, json: false, words: vec!["finish".into()] };
        let mut out = Vec::new();
        let wearable = async {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.read_line(&mut String::new()).await.unwrap();
            stream.write_all(b"{\"done\":null}\n").await.unwrap();
        };
        let (done, ()) = tokio::join!(run(&args, &mut out), wearable);
        done.unwrap();
        assert_eq!(out, b"done\n");
    }
}
