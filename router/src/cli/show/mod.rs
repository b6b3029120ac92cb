//! `show`; a file for each thing that is shown.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use crate::api::routes::Route;
use crate::api::show::Sid;
use crate::api::{Request, What, client};
use crate::source::link_state::Format;

mod drops;
mod interfaces;
mod iproute2;
mod neighbors;
mod policies;
mod routes;
mod rules;
mod sids;
mod sources;
mod topology;
mod workers;

use drops::drops;
use interfaces::interfaces;
use iproute2::iproute2;
use neighbors::neighbors;
use policies::policies;
use routes::routes;
use rules::rules;
use sids::sids;
use sources::sources;
use topology::topology;
use workers::workers;

/// Systems that know the same things by other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// Linux, by `ip -6 route`.
    Iproute2,
}

/// How a part of the state is shown.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(multiple = false)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print the lines that would set the same up in another system.
    #[arg(long = "as", value_name = "SYSTEM")]
    translate: Option<System>,
    /// Print the topology as a graph, for Graphviz.
    #[arg(long)]
    dot: bool,
    /// Draw the topology, for a browser; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Asks the daemon for a part of its state, and prints it.
pub fn show(socket: &Path, what: What, output: &Output) -> anyhow::Result<()> {
    if output.translate.is_some() && what != What::Sids {
        bail!("only SIDs can be shown as iproute2 lines: `sidewinder show sids --as iproute2`");
    }
    if (output.dot || output.svg.is_some()) && what != What::Topology {
        bail!("only the topology can be drawn: `sidewinder show topology --svg FILE`");
    }
    let ask = |request| client::request(socket, &request);
    let text = match output {
        Output { dot: true, .. } => picture(ask(Request::Draw { format: Format::Dot })?)?,
        Output { svg: Some(file), .. } => {
            let picture = picture(ask(Request::Draw { format: Format::Svg })?)?;
            if file.as_os_str() != "-" {
                std::fs::write(file, picture)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                return Ok(());
            }
            picture
        }
        Output { translate: Some(_), .. } => iproute2(&parse::<Sid>(ask(Request::Show { what })?)?),
        // May be very many.
        Output { json, .. } if what == What::Routes => {
            let found: Vec<Route> = client::list(socket, &Request::Show { what })?;
            if *json {
                serde_json::to_string_pretty(&found)? + "\n"
            } else {
                routes(&found).to_string()
            }
        }
        Output { json: true, .. } => format!("{:#}\n", ask(Request::Show { what })?),
        _ => tabulate(what, ask(Request::Show { what })?)?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn picture(data: serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::from_value(data)?)
}

fn parse<T: DeserializeOwned>(data: serde_json::Value) -> anyhow::Result<Vec<T>> {
    Ok(serde_json::from_value(data)?)
}

fn tabulate(what: What, data: serde_json::Value) -> anyhow::Result<String> {
    Ok(match what {
        What::Interfaces => interfaces(&parse(data)?),
        What::Workers => workers(&parse(data)?),
        What::Sids => sids(&parse(data)?),
        What::Routes => routes(&parse(data)?),
        What::Policies => policies(&parse(data)?),
        What::Rules => rules(&parse(data)?),
        What::Neighbors => neighbors(&parse(data)?),
        What::Sources => return Ok(sources(&parse(data)?)),
        What::Topology => return Ok(topology(&serde_json::from_value(data)?)),
        What::Drops => drops(&parse(data)?),
    }
    .to_string())
}
