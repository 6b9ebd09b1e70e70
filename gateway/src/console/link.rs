//! The console's two connections to the gateway: one on which events come, one on which it asks. Asking happens in a task
//! of its own, so that a gateway that does not answer never holds up the screen.

use host::exit::{Exit, Stop};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    control::{
        Request,
        client::{Client, Target, Watch},
    },
    ward::view::{AlertReport, OfferView, PatientView, RefusalView, Status, WearableView},
};

/// Questions that may wait; a person asks one at a time.
const QUEUE: usize = 16;
/// Alerts that are listed.
const ALERTS: u32 = 50;
/// Refusals that are listed.
const REFUSALS: usize = 200;
/// How long absent patients still get a broadcast, in milliseconds: 24 h.
const EXPIRES_MS: u64 = 24 * 3_600 * 1_000;

/// What the console asks the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// How everything stands.
    Poll {
        refusals: bool,
    },
    /// To broadcast, or to call an alert off.
    Alert {
        text: String,
        cancels: Option<String>,
    },
    DisconnectAll,
    /// To open an offer; `code` if the device shows one.
    Pair {
        kind: &'static str,
        patient: String,
        replace: bool,
        code: Option<String>,
    },
    CancelOffer {
        code: String,
    },
}

/// How everything stands.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) status: Status,
    pub(super) patients: Vec<PatientView>,
    pub(super) wearables: Vec<WearableView>,
    pub(super) alerts: Vec<AlertReport>,
    pub(super) offers: Vec<OfferView>,
    pub(super) refusals: Option<Vec<RefusalView>>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    Polled(Box<Polled>),
    /// The lists could not be read; why.
    NotPolled(String),
    Raised(Box<AlertReport>),
    Disconnected(usize),
    Offered {
        offer: OfferView,
        shown_here: bool,
    },
    OfferCancelled {
        code: String,
        was_open: bool,
    },
    /// A person's wish was refused; why.
    Refused(String),
    /// There is no gateway any more.
    Gone,
}

/// Both connections.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) answers: mpsc::Receiver<Answer>,
    pub(super) events: Watch,
    worker: JoinHandle<()>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// A [`Stop`] that says how to start a gateway.
    pub(super) async fn open(target: &Target) -> Result<Self, Stop> {
        let broken =
            |error: std::io::Error| Stop::new(Exit::Unavailable, format!("the gateway went away: {error}"));
        let events = target.connect().await?.watch().await.map_err(broken)?;
        let client = target.connect().await?;
        let (asks, questions) = mpsc::channel(QUEUE);
        let (replies, answers) = mpsc::channel(QUEUE);
        Ok(Self { asks, answers, events, worker: tokio::spawn(answer(client, questions, replies)) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn answer(mut client: Client, mut questions: mpsc::Receiver<Ask>, replies: mpsc::Sender<Answer>) {
    while let Some(ask) = questions.recv().await {
        let is_poll = matches!(ask, Ask::Poll { .. });
        let answer =
            carry_out(&mut client, ask).await.unwrap_or_else(|stop| match (Stop::exit_of(&stop), is_poll) {
                (Exit::Unavailable, _) => Answer::Gone,
                (_, true) => Answer::NotPolled(stop.to_string()),
                (_, false) => Answer::Refused(stop.to_string()),
            });
        if replies.send(answer).await.is_err() {
            return;
        }
    }
}

async fn carry_out(client: &mut Client, ask: Ask) -> Result<Answer, Stop> {
    Ok(match ask {
        Ask::Poll { refusals } => Answer::Polled(Box::new(Polled {
            status: client.request(&Request::Status {}).await?,
            patients: client.request(&Request::Patients {}).await?,
            wearables: client.request(&Request::Wearables {}).await?,
            alerts: client.request(&Request::Alerts { limit: ALERTS }).await?,
            offers: client.request(&Request::Offers {}).await?,
            refusals: match refusals {
                true => Some(client.request(&Request::Refusals { limit: REFUSALS }).await?),
                false => None,
            },
        })),
        Ask::Alert { text, cancels } => {
            // Without waiting: receipts are shown as they come.
            let request = Request::Alert { text, to: None, wait_ms: 0, expires_ms: EXPIRES_MS, cancels };
            Answer::Raised(Box::new(client.request(&request).await?))
        }
        Ask::DisconnectAll => Answer::Disconnected(client.request(&Request::DisconnectAll {}).await?),
        Ask::Pair { kind, patient, replace, code } => {
            let shown_here = code.is_none();
            let request = Request::Pair { kind: kind.into(), patient, replace, code, network: None };
            Answer::Offered { offer: client.request(&request).await?, shown_here }
        }
        Ask::CancelOffer { code } => {
            let was_open = client.request(&Request::CancelOffer { code: code.clone() }).await?;
            Answer::OfferCancelled { code, was_open }
        }
    })
}
