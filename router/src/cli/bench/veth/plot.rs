//! Plots as SVG.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Outcome, Router};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(51, 51, 51);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// A router's colour.
pub fn colour(router: &str) -> RGBColor {
    if router == Router::Sidewinder.name() {
        RGBColor(0, 107, 153)
    } else if router == Router::Linux.name() {
        RGBColor(224, 130, 20)
    } else {
        RGBColor(160, 160, 160)
    }
}

/// The highest rates as bars, each with its spread over the rounds.
pub fn rates(results: &[Outcome]) -> anyhow::Result<String> {
    let mut text = String::new();
    draw(&mut text, (960, 400), |area| draw_rates(area, results))?;
    Ok(text)
}

/// Delays of one behavior at parts of the highest loss-free rate, over a logarithmic percentile axis.
pub fn delays(results: &[&Outcome]) -> anyhow::Result<String> {
    let mut text = String::new();
    draw(&mut text, (960, 380), |area| draw_delays(area, results))?;
    Ok(text)
}

fn draw<'a>(
    text: &'a mut String,
    size: (u32, u32),
    work: impl FnOnce(&Area<'a>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let area = SVGBackend::with_string(text, size).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    work(&area)?;
    area.present().map_err(failed)
}

/// plotters' errors borrow from the drawing.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a plot: {error}")
}

fn draw_rates(area: &Area<'_>, results: &[Outcome]) -> anyhow::Result<()> {
    let mut behaviors: Vec<&str> = Vec::new();
    for outcome in results {
        if !behaviors.contains(&outcome.behavior.as_str()) {
            behaviors.push(&outcome.behavior);
        }
    }
    let spreads = results.iter().filter_map(|outcome| outcome.delivered.as_ref());
    let highest = spreads.map(|spread| spread.max).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..behaviors.len().max(1) as f64, 0.0..highest * 1.18)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_desc("Mpps delivered")
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .label_style((FONT, 13).into_font().color(&TEXT))
        .axis_desc_style((FONT, 13).into_font().color(&TEXT))
        .draw()
        .map_err(failed)?;
    let there: Vec<Router> = Router::ALL
        .into_iter()
        .filter(|router| results.iter().any(|outcome| outcome.router == router.name()))
        .collect();
    let width = 0.8 / there.len().max(1) as f64;
    for (group, behavior) in behaviors.iter().enumerate() {
        for (place, router) in there.iter().enumerate() {
            let outcome = results
                .iter()
                .find(|outcome| outcome.behavior == *behavior && outcome.router == router.name());
            let Some(spread) = outcome.and_then(|outcome| outcome.delivered.as_ref()) else {
                continue;
            };
            let left = group as f64 + 0.1 + place as f64 * width;
            let (right, middle) = (left + width * 0.9, left + width * 0.45);
            let bar = [(left, 0.0), (right, spread.median)];
            let spread_line = vec![(middle, spread.min), (middle, spread.max)];
            let style = (FONT, 12).into_font().color(&TEXT);
            let style = style.pos(centred());
            chart
                .draw_series([Rectangle::new(bar, colour(router.name()).filled())])
                .map_err(failed)?;
            chart
                .draw_series([PathElement::new(spread_line, BLACK.stroke_width(2))])
                .map_err(failed)?;
            let above = (middle, spread.max + highest * 0.055);
            chart
                .draw_series([Text::new(format!("{:.2}", spread.median), above, style)])
                .map_err(failed)?;
        }
    }
    // Names go below the axis, where plotters only puts numbers.
    let plane = chart.plotting_area().strip_coord_spec();
    let ((left, _), (right, bottom)) = {
        let (x, y) = chart.plotting_area().get_pixel_range();
        ((x.start, y.start), (x.end, y.end))
    };
    drop(plane);
    let each = f64::from(right - left) / behaviors.len().max(1) as f64;
    for (group, behavior) in behaviors.iter().enumerate() {
        let middle = f64::from(left) + (group as f64 + 0.5) * each;
        let style = (FONT, 14).into_font().color(&TEXT);
        let style = style.pos(centred());
        area.draw(&Text::new(behavior.to_string(), (middle as i32, bottom + 16), style))
            .map_err(failed)?;
    }
    let entries: Vec<(String, RGBColor)> =
        there.iter().map(|router| (router.name().to_owned(), colour(router.name()))).collect();
    legend(area, &entries, left + 16)
}

fn draw_delays(area: &Area<'_>, results: &[&Outcome]) -> anyhow::Result<()> {
    let all = || results.iter().flat_map(|outcome| &outcome.latency);
    let points = || all().flat_map(|latency| &latency.curve);
    let low = points().map(|point| point.1).fold(f64::MAX, f64::min).clamp(0.1, 1e6);
    let high = points().map(|point| point.1).fold(low * 10.0, f64::max);
    let end = points().map(|point| nines(point.0)).fold(1.0, f64::max).ceil().min(6.0);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, (low * 0.8..high * 2.5).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_labels(end as usize + 1)
        .x_label_formatter(&|nines| percentile(*nines))
        .y_label_formatter(&|value| micros(*value))
        .x_desc("percentile of packets")
        .y_desc("delay")
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .label_style((FONT, 13).into_font().color(&TEXT))
        .axis_desc_style((FONT, 13).into_font().color(&TEXT))
        .draw()
        .map_err(failed)?;
    let mut entries = Vec::new();
    for outcome in results {
        let colour = colour(&outcome.router);
        for latency in &outcome.latency {
            // The heavier the load, the heavier the line.
            let weight = if latency.load < 0.3 {
                1
            } else if latency.load < 0.7 {
                2
            } else {
                4
            };
            let steps = steps(&latency.curve);
            chart
                .draw_series([PathElement::new(steps, colour.stroke_width(weight))])
                .map_err(failed)?;
        }
        entries.push((outcome.router.clone(), colour));
    }
    let left = chart.plotting_area().get_pixel_range().0.start + 16;
    legend(area, &entries, left)
}

/// Squares and names, side by side at the top.
fn legend(area: &Area<'_>, entries: &[(String, RGBColor)], left: i32) -> anyhow::Result<()> {
    let mut x = left;
    for (name, colour) in entries {
        let style = (FONT, 13).into_font().color(&TEXT);
        area.draw(&Rectangle::new([(x, 18), (x + 12, 30)], colour.filled())).map_err(failed)?;
        area.draw(&Text::new(name.clone(), (x + 18, 17), style)).map_err(failed)?;
        x += 40 + 8 * name.len() as i32;
    }
    Ok(())
}

fn centred() -> plotters::style::text_anchor::Pos {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    Pos::new(HPos::Center, VPos::Center)
}

/// Where a percentile is on the axis: 0 for 0 %, 1 for 90 %, 2 for 99 %, ….
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).max(1e-6).log10()
}

/// The percentile at a place of the axis, in words.
fn percentile(nines: f64) -> String {
    let whole = nines.round();
    if (nines - whole).abs() > 0.01 {
        return String::new();
    }
    match whole as usize {
        0 => "0 %".into(),
        1 => "90 %".into(),
        2 => "99 %".into(),
        more => format!("99.{} %", "9".repeat(more - 2)),
    }
}

fn micros(value: f64) -> String {
    if value >= 1000.0 {
        format!("{} ms", value / 1000.0)
    } else if value >= 1.0 {
        format!("{value:.0} µs")
    } else {
        format!("{value:.1} µs")
    }
}

/// A line of steps: delays are as they were counted, not smoothed.
fn steps(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut line = Vec::new();
    let mut last = 0.0;
    for (percentile, delay) in curve {
        let at = nines(*percentile);
        line.push((last, *delay));
        line.push((at, *delay));
        last = at;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_axis() {
        for (value, place) in [(0.0, 0.0), (90.0, 1.0), (99.0, 2.0), (99.9999, 6.0), (100.0, 6.0)] {
            assert!((nines(value) - place).abs() < 1e-6, "{value}");
        }
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(percentile), ["0 %", "90 %", "99 %", "99.9 %"]);
        assert_eq!(percentile(6.0), "99.9999 %");
        assert_eq!(percentile(0.5), "");
    }

    #[test]
    fn lines_are_steps() {
        assert_eq!(
            steps(&[(0.0, 2.0), (90.0, 5.0)]),
            [(0.0, 2.0), (0.0, 2.0), (0.0, 5.0), (1.0, 5.0)]
        );
    }
}
