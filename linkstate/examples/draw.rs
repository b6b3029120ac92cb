//! A picture of a generated topology, on standard output:
//! `cargo run -p sidewinder-linkstate --example draw -- NODES LINKS [dot]`.

#![forbid(unsafe_code)]

use sidewinder_linkstate::draw::{Options, dot, svg};
use sidewinder_linkstate::generate::{Plan, key};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::ted::{LinkId, Ted};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default| {
        arguments.get(at).and_then(|argument| argument.parse().ok()).unwrap_or(default)
    };
    let (mut ted, mut tally) = (Ted::default(), Tally::default());
    let plan = Plan::provider(number(1, 12), number(2, 22), 1);
    plan.events().for_each(|event| ted.apply(event, &mut tally));
    // Whatever, so that there is something to see.
    let load = |link: LinkId| Some(f64::from(link.0 * 37 % 100) / 100.0);
    let options = Options { own: ted.node_id(&key(0)), topology: None, load: Some(&load) };
    let picture = if arguments.iter().any(|argument| argument == "dot") { dot } else { svg };
    print!("{}", picture(&ted, &options));
}
