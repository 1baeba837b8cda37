//! Plots as SVG: lines over axes, and stacked bars.

use std::fmt::Write;

use super::escape;

/// Size of a plot, and the room around it for axes and their names.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
/// Colours that people with colour blindness can tell apart (Okabe and Ito).
pub(super) const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#000000"];

/// A line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// A plot.
pub(super) struct Plot<'a> {
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) x_scale: Scale,
    pub(super) y_scale: Scale,
    pub(super) lines: Vec<Line>,
    /// Names of places on the x axis; none: numbers.
    pub(super) x_names: Option<&'a [(f64, &'a str)]>,
}

/// A number on an axis.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// Where an axis begins and ends, and what is written on it.
struct Axis {
    from: f64,
    to: f64,
    scale: Scale,
    marks: Vec<f64>,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, scale: Scale) -> Self {
        let high = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        match scale {
            Scale::Linear => {
                // Five marks or so, at 1, 2 or 5 times a power of ten.
                let rough = high / 5.0;
                let power = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0]
                    .into_iter()
                    .map(|factor| factor * power)
                    .find(|step| *step >= rough)
                    .unwrap_or(high);
                let count = (high / step).ceil();
                let marks = (0..20).map(f64::from).take_while(|n| *n <= count);
                Self {
                    from: 0.0,
                    to: count * step,
                    scale,
                    marks: marks.map(|n| n * step).collect(),
                }
            }
            Scale::Logarithmic => {
                let low = values.filter(|value| *value > 0.0).fold(high, f64::min);
                let (from, to) =
                    (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
                let marks = (-12..13).map(f64::from).filter(|n| (from..=to).contains(n));
                Self { from, to, scale, marks: marks.map(|n| 10f64.powf(n)).collect() }
            }
        }
    }

    /// Where `value` lies, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(1e-12).log10(),
        };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

pub(super) fn svg(plot: &Plot<'_>) -> String {
    let points = || plot.lines.iter().flat_map(|line| line.points.iter());
    let x_axis = Axis::over(points().map(|(x, _)| *x), plot.x_scale);
    let y_axis = Axis::over(points().map(|(_, y)| *y), plot.y_scale);
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x_at = |value: f64| LEFT + inner_width * x_axis.place(value);
    let y_at = |value: f64| TOP + inner_height * (1.0 - y_axis.place(value));
    let legend = plot.lines.len().div_ceil(4) as f64 * 18.0;
    let whole = HEIGHT + legend;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {whole}\" role=\"img\" aria-label=\"{} against {}\">\n",
        plot.y, plot.x
    );
    y_marks(&mut out, &y_axis, plot.y);
    let numbers: Vec<(f64, String)> = match plot.x_names {
        Some(names) => names.iter().map(|(at, name)| (*at, (*name).to_owned())).collect(),
        None => x_axis.marks.iter().map(|mark| (*mark, short(*mark))).collect(),
    };
    let base = HEIGHT - BOTTOM;
    for (at, name) in numbers {
        let x = x_at(at);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{base}\" stroke=\"#eee\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 16.0,
            escape(&name)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        LEFT + inner_width / 2.0,
        base + 36.0,
        escape(plot.x)
    );
    for (place, (line, colour)) in plot.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let path: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        if line.points.len() <= 30 {
            for (x, y) in &line.points {
                let _ = write!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    x_at(*x),
                    y_at(*y)
                );
            }
        }
        legend_entry(&mut out, place, &line.name, colour, 4.0);
    }
    out.push_str("</svg>\n");
    out
}

/// A stacked bar: its name, and its parts' values.
pub(super) type Bar = (String, Vec<f64>);

/// Bars side by side, each of `parts` in their order, from below.
pub(super) fn bars(y: &str, parts: &[String], bars: &[Bar]) -> String {
    let totals = bars.iter().map(|(_, values)| values.iter().sum::<f64>());
    let y_axis = Axis::over(totals, Scale::Linear);
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let y_at = |value: f64| TOP + inner_height * (1.0 - y_axis.place(value));
    let slot = inner_width / bars.len().max(1) as f64;
    let width = (0.7 * slot).min(56.0);
    let whole = HEIGHT + 18.0 * parts.len().div_ceil(4) as f64;
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {whole}\" role=\"img\" aria-label=\"{y}\">\n");
    y_marks(&mut out, &y_axis, y);
    for (place, (name, values)) in bars.iter().enumerate() {
        let middle = LEFT + slot * (place as f64 + 0.5);
        let mut below = 0.0;
        for (value, colour) in values.iter().zip(COLOURS.iter().cycle()) {
            let (top, bottom) = (y_at(below + value), y_at(below));
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                middle - width / 2.0,
                bottom - top
            );
            below += value;
        }
        let _ = writeln!(
            out,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{below:.0}</text><text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y_at(below) - 4.0,
            HEIGHT - BOTTOM + 16.0,
            escape(name)
        );
    }
    for (place, (part, colour)) in parts.iter().zip(COLOURS.iter().cycle()).enumerate() {
        legend_entry(&mut out, place, part, colour, 10.0);
    }
    out.push_str("</svg>\n");
    out
}

/// The marks of the y axis with their lines, and its name.
fn y_marks(out: &mut String, axis: &Axis, name: &str) {
    let inner_height = HEIGHT - TOP - BOTTOM;
    for mark in &axis.marks {
        let y = TOP + inner_height * (1.0 - axis.place(*mark));
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            short(*mark)
        );
    }
    let middle = TOP + inner_height / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"14\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
        escape(name)
    );
}

/// An entry of the legend below a plot, four a row.
fn legend_entry(out: &mut String, place: usize, name: &str, colour: &str, height: f64) {
    let column = LEFT + (place % 4) as f64 * 165.0;
    let row = HEIGHT + (place / 4) as f64 * 18.0;
    let _ = writeln!(
        out,
        "<rect x=\"{column}\" y=\"{:.1}\" width=\"12\" height=\"{height}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        row + 6.0 - height / 2.0,
        column + 18.0,
        row + 10.0,
        escape(name)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_axes_are_short() {
        assert_eq!(
            [short(2.5e6), short(200_000.0), short(0.5), short(0.0)],
            ["2.5 M", "200 k", "0.5", "0"]
        );
    }

    #[test]
    fn a_bar_has_all_its_parts() {
        let parts = ["a", "b"].map(str::to_owned);
        let svg = bars(
            "ticks",
            &parts,
            &[("x".to_owned(), vec![1.0, 2.0]), ("y".to_owned(), vec![3.0, 4.0])],
        );
        // Four pieces, two entries of the legend; the totals on top.
        assert_eq!(svg.matches("<rect").count(), 6);
        assert!(svg.contains(">3</text>") && svg.contains(">7</text>"));
    }

    #[test]
    fn axes_cover_their_values() {
        for values in [vec![1.0], vec![0.3, 7.0], vec![1e-3, 9e6], vec![4096.0, 1.0]] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                let axis = Axis::over(values.iter().copied(), scale);
                assert!(axis.marks.len() >= 2, "{values:?}");
                for value in &values {
                    assert!((0.0..=1.0).contains(&axis.place(*value)));
                }
                let most = values.iter().copied().fold(0.0, f64::max);
                let least = values.iter().copied().fold(f64::MAX, f64::min);
                assert!(axis.place(most) > axis.place(least) || values.len() == 1);
            }
        }
    }
}
