//! `show routes`, piece by piece: of a quarter of a million routes each piece takes the control
//! thread a millisecond or two, and none waits in memory for those behind it.
//!
//! A piece ends with a prefix, and the next begins behind it; a route that changes meanwhile is shown
//! as it was when its piece was made. On the socket they are one answer.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::control::Control;
use crate::control::rib::{Key, Standing, Target};

/// Routes of a piece; some more where its last prefix has several.
const PIECE: usize = 256;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Its table.
    pub table: String,
    /// Its prefix.
    pub prefix: String,
    /// Where it leads.
    pub target: String,
    /// Who says so.
    pub source: String,
    /// Administrative distance.
    pub distance: u8,
    /// Cost in the source's terms.
    pub metric: u32,
    /// Seconds since the source said so.
    pub age: u64,
    /// Whether the source has gone since, and this is kept for a while.
    pub stale: bool,
    /// Whether workers use it.
    pub installed: bool,
    /// Why they use it, or do not: `best`, `left-to-kernel`, `neighbor-awaited`,
    /// `next-hop-unresolved`, `interface-unknown`, `policy-unknown`, `policy-unresolved`,
    /// `worse-distance`, `worse-metric` or `worse-source`.
    pub standing: String,
    /// Why it is left to the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_to_kernel: Option<Left>,
}

/// Why a route is left to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Left {
    /// In a word.
    pub reason: String,
    /// In a sentence.
    pub why: String,
}

/// A wish for a piece, on its way to the control thread.
#[derive(Debug)]
pub struct Wanted {
    /// The prefix that it begins behind; `None`: at the first.
    behind: Option<Key>,
    reply: oneshot::Sender<Piece>,
}

/// Some routes.
#[derive(Debug)]
struct Piece {
    routes: Vec<Route>,
    /// The last prefix among them; `None`: there are no more.
    last: Option<Key>,
}

/// Answers a wish.
pub fn answer(control: &Control, wanted: Wanted) {
    // A client that has gone does not want to know.
    let _ = wanted.reply.send(piece(control, wanted.behind));
}

/// The routes of the prefixes behind this one, so many as one piece has.
fn piece(control: &Control, behind: Option<Key>) -> Piece {
    let mut routes = Vec::with_capacity(PIECE);
    for (key, opinions) in control.rib.behind(behind) {
        let Some(best) = opinions.first().copied() else { continue };
        for (place, (source, route)) in opinions.into_iter().enumerate() {
            let standing = control.standing(&key, place, (source, route), best);
            let opinion = &route.opinion;
            routes.push(Route {
                table: sidewinder_config::Table(key.table).to_string(),
                prefix: key.prefix.to_string(),
                target: opinion.target.to_string(),
                source: source.name().into(),
                distance: opinion.distance,
                metric: opinion.metric,
                age: route.since.elapsed().as_secs(),
                stale: route.stale,
                installed: standing == Standing::Best,
                standing: standing.name().into(),
                left_to_kernel: match &opinion.target {
                    Target::Kernel(why) => {
                        Some(Left { reason: why.name().into(), why: why.to_string() })
                    }
                    _ => None,
                },
            });
        }
        if routes.len() >= PIECE {
            return Piece { routes, last: Some(key) };
        }
    }
    Piece { routes, last: None }
}

/// Writes all routes as one answer, each piece as it comes.
pub async fn tell(
    writer: &mut (impl AsyncWrite + Unpin),
    wanted: &mpsc::Sender<Wanted>,
) -> io::Result<()> {
    let mut behind = None;
    let mut text = String::from(r#"{"ok":true,"data":["#);
    let mut first = true;
    loop {
        let (reply, answer) = oneshot::channel();
        // Half an answer, where the daemon stops: the client says that it hung up.
        let stopping = || io::Error::from(io::ErrorKind::BrokenPipe);
        wanted.send(Wanted { behind, reply }).await.map_err(|_| stopping())?;
        let piece = answer.await.map_err(|_| stopping())?;
        for route in &piece.routes {
            if !std::mem::take(&mut first) {
                text.push(',');
            }
            text += &serde_json::to_string(route)?;
        }
        behind = piece.last;
        if behind.is_none() {
            text.push_str("]}\n");
            return writer.write_all(text.as_bytes()).await;
        }
        writer.write_all(text.as_bytes()).await?;
        text.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use sidewinder_dataplane::fib::entry::Discard;

    use super::*;
    use crate::api::Response;
    use crate::control::rib::{Opinion, Source};
    use crate::control::tests::{config, view};

    async fn told(control: &Control) -> (String, usize) {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut text = Vec::new();
        let mut pieces = 0;
        let telling = async {
            tell(&mut text, &sender).await.unwrap();
            drop(sender);
        };
        let answering = async {
            while let Some(wanted) = receiver.recv().await {
                pieces += 1;
                answer(control, wanted);
                if pieces > 100 {
                    break;
                }
            }
        };
        let both = async {
            tokio::select! { () = telling => {}, () = answering => {} }
        };
        both.await;
        (String::from_utf8(text).unwrap(), pieces)
    }

    #[tokio::test]
    async fn pieces_are_one_answer_with_every_route_once() {
        let mut control = Control::new(config("[[interface]]\nname = \"eth0\""), &view(&[]), 1);
        let (text, _) = told(&control).await;
        assert_eq!(text, "{\"ok\":true,\"data\":[]}\n");
        let opinion =
            |metric| Opinion { distance: 0, metric, target: Target::Discard(Discard::Blackhole) };
        for number in 0..2_000_u32 {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + number * 256);
            let prefix = ipnet::Ipv4Net::new(address, 24).unwrap().into();
            let key = Key { table: Key::MAIN, prefix };
            // Prefixes at the border of a piece may have several.
            for metric in 1..=1 + number % 3 {
                control.rib.announce_beside(Source::Kernel, key, opinion(metric), Instant::now());
            }
        }
        let (text, pieces) = told(&control).await;
        assert!(text.ends_with("]}\n") && text.lines().count() == 1);
        let response: Response<Vec<Route>> = serde_json::from_str(&text).unwrap();
        let routes = response.data.unwrap();
        let all: usize = (0..2_000).map(|number| 1 + number % 3).sum();
        assert_eq!(routes.len(), all);
        assert_eq!(pieces, all.div_ceil(PIECE));
        let place = |route: &Route| (route.prefix.parse::<ipnet::IpNet>().unwrap(), route.metric);
        assert!(routes.windows(2).all(|two| place(&two[0]) < place(&two[1])));
    }
}
