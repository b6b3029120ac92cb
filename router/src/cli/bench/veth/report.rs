//! What people read: tables on the terminal, and a page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::{Outcome, Output, Router, Setup, Spread, plot};
use crate::cli::table::Table;

/// The page's style: nothing is fetched from anywhere.
const STYLE: &str = "body{font:15px/1.5 sans-serif;color:#222;max-width:1000px;margin:2em auto;\
    padding:0 1em}table{border-collapse:collapse;margin:1em 0}th,td{padding:.3em .8em;\
    border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}th:first-child,\
    td:first-child,th.w,td.w{text-align:left}thead th{border-bottom:2px solid #888}td small,\
    th small{color:#777;font-weight:normal}svg{max-width:100%;height:auto}h1{font-size:1.6em}\
    h2{font-size:1.25em;margin-top:2em}code{background:#f4f4f4;padding:.1em .3em}";

/// Which router is which.
fn legend(router: &str) -> &'static str {
    if router == Router::Sidewinder.name() {
        "the daemon; its worker has a core of its own, and the kernel's part of receiving (a copy into \
         packet memory) is done by the generator's core"
    } else if router == Router::Linux.name() {
        "the kernel; its receiving thread (threaded NAPI) has a core of its own: the one to compare with"
    } else {
        "the kernel, in the softirq of the generator and on its core, as it is by default on a virtual \
         link: what one core can do that generates and routes"
    }
}

/// The tables on the terminal.
pub fn text(output: &Output) -> String {
    let setup = &output.setup;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, Linux {}, {} in {} mode; generator on core {}, routers on core {}",
        setup.environment.processor,
        setup.environment.kernel,
        setup.driver,
        setup.mode,
        setup.generator_core,
        setup.router_core
    );
    let mut table = Table::new([
        "behavior",
        "router",
        "bytes",
        "Mpps",
        "x linux",
        "of IPv6",
        "no loss",
        "0.5 % loss",
        "p50 us",
        "p99 us",
        "p99.9 us",
    ]);
    for outcome in &output.results {
        let half = half_load(outcome);
        let delay = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
        table.row([
            outcome.behavior.clone(),
            outcome.router.clone(),
            outcome.packet_bytes.to_string(),
            highest(outcome),
            times(ratio_to_linux(outcome, &output.results)),
            percent(part_of_plain(outcome, &output.results)),
            searched(outcome, outcome.ndr.as_ref()),
            searched(outcome, outcome.pdr.as_ref()),
            delay(half.map(|latency| latency.p50_us)),
            delay(half.map(|latency| latency.p99_us)),
            delay(half.map(|latency| latency.p999_us)),
        ]);
    }
    let _ = write!(text, "{table}");
    text.push_str(
        "Mpps: delivered when as many were offered as could be. Delays at half of the rate without \
         loss.\n",
    );
    let mut said = Vec::new();
    for outcome in &output.results {
        if !said.contains(&outcome.router.as_str()) {
            said.push(&outcome.router);
            let _ = writeln!(text, "{}: {}.", outcome.router, legend(&outcome.router));
        }
    }
    if output.results.iter().any(limited) {
        text.push_str(">: the generator could not offer more, and the router may be faster.\n");
    }
    if setup.quick {
        text.push_str("--quick: these figures show that it works, and are not to be quoted.\n");
    }
    text
}

/// Writes the page and the raw figures.
pub fn write(output: &Output, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let json = serde_json::to_string_pretty(output)? + "\n";
    for (name, text) in [("bench-veth.json", json), ("index.html", page(output)?)] {
        let path = folder.join(name);
        if path.exists() {
            eprintln!("{} is replaced", path.display());
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprintln!("report: {}", folder.join("index.html").display());
    Ok(())
}

/// The page.
pub fn page(output: &Output) -> anyhow::Result<String> {
    let mut html =
        String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(
        html,
        "<title>sidewinder bench veth</title><style>{STYLE}</style></head><body>\n\
         <h1>Sidewinder and Linux on virtual links</h1>\n<p>Measured by <code>sidewinder bench \
         veth</code>: a generator on one core sends packets through each router in turn to a sink that \
         checks every packet that arrives. Virtual links have no zero-copy, so what limits \
         Sidewinder here is the kernel's copying: the figures compare routers on this machine, and \
         are not those of a NIC.</p>\n"
    );
    if output.setup.quick {
        html.push_str("<p><b>A quick run: to see that it works, not to be quoted.</b></p>\n");
    }
    html.push_str("<h2>Rates</h2>\n");
    html.push_str(&plot::rates(&output.results)?);
    html.push_str(&rate_table(output));
    html.push_str(
        "<h2>Delays</h2>\n<p>At 10, 50 and 90 % of each router's own highest rate without \
        loss (the heavier the load, the heavier the line), of each load the round with the median of \
        the 99th percentiles. A packet's delay begins when it should \
        have left the generator, so what the generator is late by is part of it.</p>\n",
    );
    html.push_str(&delay_table(output));
    let mut done: Vec<&str> = Vec::new();
    for outcome in &output.results {
        if done.contains(&outcome.behavior.as_str()) {
            continue;
        }
        done.push(&outcome.behavior);
        let same: Vec<&Outcome> = output
            .results
            .iter()
            .filter(|other| other.behavior == outcome.behavior && !other.latency.is_empty())
            .collect();
        if !same.is_empty() {
            let _ = writeln!(html, "<h3>{}</h3>", escape(&outcome.behavior));
            html.push_str(&plot::delays(&same)?);
        }
    }
    html.push_str("<h2>Environment</h2>\n");
    html.push_str(&environment_table(&output.setup));
    html.push_str("<p>Raw figures: <a href=\"bench-veth.json\">bench-veth.json</a>.</p>\n");
    html.push_str("</body></html>\n");
    Ok(html)
}

fn rate_table(output: &Output) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>behavior</th><th class=\"w\">router</th><th>packet, bytes</th>\
         <th>highest, Mpps <small>(rounds)</small></th><th>times Linux</th><th>of IPv6</th>\
         <th>without loss</th><th>0.5 % loss</th></tr></thead><tbody>\n",
    );
    for outcome in &output.results {
        let range = |spread: Option<&Spread>| {
            spread.map_or("–".into(), |spread| {
                format!("{:.2} <small>({:.2}–{:.2})</small>", spread.median, spread.min, spread.max)
            })
        };
        let sign = |limited: bool| if limited { "&gt; " } else { "" };
        let mark = sign(outcome.generator_limited);
        let search = sign(outcome.search_generator_limited);
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"w\">{}</td><td>{}</td><td>{mark}{}</td><td>{}</td><td>{}</td>\
             <td>{search}{}</td><td>{search}{}</td></tr>",
            escape(&outcome.behavior),
            escape(&outcome.router),
            outcome.packet_bytes,
            range(outcome.delivered.as_ref()),
            times(ratio_to_linux(outcome, &output.results)),
            percent(part_of_plain(outcome, &output.results)),
            range(outcome.ndr.as_ref()),
            range(outcome.pdr.as_ref()),
        );
    }
    html.push_str("</tbody></table>\n<ul>");
    let mut said: Vec<&str> = Vec::new();
    for outcome in &output.results {
        if !said.contains(&outcome.router.as_str()) {
            said.push(&outcome.router);
            let _ = write!(html, "<li><b>{}</b>: {}</li>", outcome.router, legend(&outcome.router));
        }
    }
    html.push_str(
        "</ul>\n<p>Highest: delivered when as many were offered as could be; median of the \
        rounds. Of IPv6: compared with the same router forwarding packets untouched. Without loss, \
        0.5 % loss: the highest offered rates of which no packet, and at most one in 200, was \
        lost.</p>\n",
    );
    if output.results.iter().any(limited) {
        html.push_str(
            "<p>&gt;: the generator could not offer more; the router may be faster.</p>\n",
        );
    }
    html
}

fn delay_table(output: &Output) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>behavior</th><th class=\"w\">router</th><th>load</th><th>Mpps</th>\
         <th>50 %</th><th>90 %</th><th>99 % <small>(rounds)</small></th><th>99.9 %</th><th>longest</th><th>lost</th></tr>\
         </thead><tbody>\n",
    );
    for outcome in &output.results {
        for latency in &outcome.latency {
            let p99 = || latency.p99_us_rounds.iter().copied();
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td class=\"w\">{}</td><td>{:.0} %</td><td>{:.2}</td><td>{:.1} µs</td>\
                 <td>{:.1} µs</td><td>{:.1} µs <small>({:.0}–{:.0})</small></td><td>{:.1} µs</td>\
                 <td>{:.0} µs</td><td>{}</td></tr>",
                escape(&outcome.behavior),
                escape(&outcome.router),
                latency.load * 100.0,
                latency.offered_mpps,
                latency.p50_us,
                latency.p90_us,
                latency.p99_us,
                p99().fold(f64::INFINITY, f64::min),
                p99().fold(0.0, f64::max),
                latency.p999_us,
                latency.max_us,
                latency.lost,
            );
        }
    }
    html.push_str("</tbody></table>\n");
    html
}

fn environment_table(setup: &Setup) -> String {
    let machine = &setup.environment;
    let rows = [
        ("processor", format!("{}, {} cores", machine.processor, machine.processors)),
        ("time-stamp counter", format!("{:.0} MHz", machine.tsc_mhz)),
        ("kernel", machine.kernel.clone()),
        ("clock", setup.clock.clone()),
        ("interfaces", format!("{}, AF_XDP in {} mode", setup.driver, setup.mode)),
        ("packets per batch", machine.burst.to_string()),
        ("descriptors per ring", setup.ring_size.to_string()),
        ("bytes per frame", machine.frame_bytes.to_string()),
        ("generator", format!("core {}", setup.generator_core)),
        ("routers and sinks", format!("core {}", setup.router_core)),
        ("rounds", setup.rounds.to_string()),
        ("trials", format!("up to {} s", setup.trial_seconds)),
        ("Sidewinder", format!("{}, commit {}", machine.version, setup.commit)),
        ("seconds since 1970", setup.time.to_string()),
    ];
    let mut html = String::from("<table><tbody>\n");
    for (name, value) in rows {
        let _ = writeln!(html, "<tr><td>{name}</td><td class=\"w\">{}</td></tr>", escape(&value));
    }
    html.push_str("</tbody></table>\n");
    html
}

fn limited(outcome: &Outcome) -> bool {
    outcome.generator_limited || outcome.search_generator_limited
}

fn half_load(outcome: &Outcome) -> Option<&super::Latency> {
    outcome.latency.iter().find(|latency| latency.load == 0.5)
}

fn highest(outcome: &Outcome) -> String {
    let mark = if outcome.generator_limited { "> " } else { "" };
    format!("{mark}{}", rate(outcome.delivered.as_ref()))
}

fn searched(outcome: &Outcome, spread: Option<&Spread>) -> String {
    let mark = if outcome.search_generator_limited { "> " } else { "" };
    format!("{mark}{}", rate(spread))
}

fn rate(spread: Option<&Spread>) -> String {
    spread.map_or("-".into(), |spread| format!("{:.2}", spread.median))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
}

fn percent(part: Option<f64>) -> String {
    part.map_or("-".into(), |part| format!("{:.0} %", part * 100.0))
}

/// Sidewinder's highest rate by that of Linux on a core of its own.
fn ratio_to_linux(outcome: &Outcome, all: &[Outcome]) -> Option<f64> {
    if outcome.router != Router::Sidewinder.name() {
        return None;
    }
    let linux = find(all, &outcome.behavior, Router::Linux.name())?;
    Some(outcome.delivered.as_ref()?.median / linux.delivered.as_ref()?.median)
}

/// A router's highest rate by its own without a behavior.
fn part_of_plain(outcome: &Outcome, all: &[Outcome]) -> Option<f64> {
    let plain = find(all, super::Behavior::Ipv6.name(), &outcome.router)?;
    Some(outcome.delivered.as_ref()?.median / plain.delivered.as_ref()?.median)
}

fn find<'a>(all: &'a [Outcome], behavior: &str, router: &str) -> Option<&'a Outcome> {
    all.iter().find(|outcome| outcome.behavior == behavior && outcome.router == router)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two behaviors of two routers, as a run prints them.
    fn output() -> Output {
        serde_json::from_str(include_str!("sample.json")).expect("the sample is an output")
    }

    #[test]
    fn the_page_is_complete_and_needs_nothing_else() {
        let page = page(&output()).unwrap();
        for part in ["<h2>Rates</h2>", "<h2>Delays</h2>", "<h2>Environment</h2>", "<h3>End</h3>"] {
            assert!(page.contains(part), "{part}");
        }
        for outside in ["src=", "@import", "url(", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        // The namespace of SVG is a name, and nothing that is fetched.
        let addresses = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!addresses.contains("http"), "an address");
        assert!(page.contains("bench-veth.json") && page.ends_with("</html>\n"));
    }

    #[test]
    fn plots_are_well_formed() {
        let output = output();
        let same: Vec<&Outcome> = output.results.iter().collect();
        for svg in [plot::rates(&output.results).unwrap(), plot::delays(&same).unwrap()] {
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert_eq!(svg.matches('"').count() % 2, 0);
            let opened = svg.matches("<text").count();
            assert!(opened > 0);
            assert_eq!(opened, svg.matches("</text>").count());
            for wrong in ["NaN", "inf", "-inf"] {
                assert!(!svg.contains(wrong), "{wrong} in a plot");
            }
        }
    }

    #[test]
    fn tables_compare_with_linux_and_with_forwarding_untouched() {
        let text = text(&output());
        let line = text.lines().find(|line| line.starts_with("End ")).expect("a line of End");
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[..6], ["End", "sidewinder", "182", "1.90", "1.90", "95"]);
        assert!(text.contains("not to be quoted"), "the sample is a quick run");
    }

    #[test]
    fn what_the_generator_limited_is_marked() {
        let mut output = output();
        output.results[0].generator_limited = true;
        assert!(text(&output).contains("> 2.00"));
        assert!(page(&output).unwrap().contains("&gt; 2.00"));
    }

    #[test]
    fn a_report_makes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        write(&output(), &inner).unwrap();
        let json = fs::read_to_string(inner.join("bench-veth.json")).unwrap();
        let again: Output = serde_json::from_str(&json).unwrap();
        assert_eq!(again.results.len(), 4);
        assert!(inner.join("index.html").exists());
    }
}
