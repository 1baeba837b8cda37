//! The colours of pictures and pages, for light and for dark.

use std::fmt::Write as _;

/// A colour by what it is for: on light ground and on dark.
struct Colour {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn colour(name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { name, light, dark }
}

/// Each at least 4.5 to 1 against its ground where text has it (WCAG 2.1, 1.4.3). Forward and reverse differ in lightness
/// too, for those who do not see colours.
const COLOURS: &[Colour] = &[
    colour("ground", "#ffffff", "#0d1117"),
    colour("panel", "#f5f7fa", "#171c24"),
    colour("text", "#1c2128", "#e6edf3"),
    colour("quiet", "#59636e", "#9aa4b0"),
    colour("line", "#d0d7de", "#303842"),
    colour("forward", "#0550ae", "#6cb0ff"),
    colour("reverse", "#b35900", "#f0a050"),
    colour("hot", "#c1123f", "#ff7088"),
    colour("balancer", "#7136c9", "#c297ff"),
    colour("strip", "#f1eafc", "#2a2140"),
];

/// Rules for the drawing: plain colours, not custom properties, which several programs that show SVG do not know.
const RULES: &str = ".oh-ground{fill:@ground}\
.oh-end{fill:@panel;stroke:@text;stroke-width:1.8}\
.oh-router{fill:@panel;stroke-width:1.4}\
.oh-silent{fill:@ground;stroke:@quiet;stroke-width:1.2;stroke-dasharray:4 4}\
.oh-forward{stroke:@forward}.oh-reverse{stroke:@reverse}\
.oh-wire{fill:none;stroke-linecap:round}\
.oh-hot{stroke:@hot}\
.oh-dashed{stroke-dasharray:2 5}\
.oh-tie{fill:none;stroke:@quiet;stroke-width:1.3;stroke-dasharray:1.5 4.5;stroke-linecap:round}\
.oh-tip-forward{fill:@forward}.oh-tip-reverse{fill:@reverse}.oh-tip-hot{fill:@hot}\
.oh-strip{fill:@strip}\
.oh-per_flow{fill:@balancer;stroke:@balancer;stroke-width:1.6}\
.oh-per_packet{fill:@ground;stroke:@balancer;stroke-width:1.8}\
.oh-unknown{fill:@strip;stroke:@balancer;stroke-width:1.2}\
.oh-per_destination{fill:@strip;stroke:@balancer;stroke-width:1.8;stroke-dasharray:2.5 2}\
.oh-text{fill:@text}.oh-quiet{fill:@quiet}\
.oh-text-forward{fill:@forward}.oh-text-reverse{fill:@reverse}.oh-text-balancer{fill:@balancer}\
.oh-text-hot{fill:@hot;stroke:@ground;stroke-width:4;paint-order:stroke;stroke-linejoin:round}";

/// What does not depend on colours.
const FONTS: &str = ".oh-picture{font-family:ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono','Liberation Mono',monospace;font-size:12px}\
.oh-sans{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
.oh-bold{font-weight:600}.oh-small{font-size:11px}.oh-big{font-size:15px}";

/// The style sheet of a picture.
pub(crate) fn picture() -> String {
    themed(FONTS, RULES)
}

/// `fixed`, then `rules` for light ground and, where the reader prefers that, for dark; each `@name` is a colour.
pub(crate) fn themed(fixed: &str, rules: &str) -> String {
    let [light, dark] = [|colour: &Colour| colour.light, |colour: &Colour| colour.dark].map(
        |of: fn(&Colour) -> &'static str| {
            COLOURS.iter().fold(rules.to_owned(), |rules, colour| {
                rules.replace(&format!("@{}", colour.name), of(colour))
            })
        },
    );
    let mut sheet = format!("{fixed}{light}");
    // Writing to a String cannot fail.
    let _ = write!(sheet, "@media (prefers-color-scheme:dark){{{dark}}}");
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of `#rrggbb` (WCAG 2.1).
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read() {
        let find = |name| COLOURS.iter().find(|colour| colour.name == name).unwrap();
        for (text, ground) in [
            ("text", "ground"),
            ("text", "panel"),
            ("quiet", "ground"),
            ("quiet", "panel"),
            ("forward", "ground"),
            ("reverse", "ground"),
            ("hot", "ground"),
            ("balancer", "strip"),
        ] {
            let (text, ground) = (find(text), find(ground));
            for (a, b) in [(text.light, ground.light), (text.dark, ground.dark)] {
                assert!(
                    contrast(a, b) >= 4.5,
                    "{} on {}: {}",
                    text.name,
                    ground.name,
                    contrast(a, b)
                );
            }
        }
    }

    #[test]
    fn every_name_is_a_colour() {
        let sheet = picture();
        assert!(!sheet.replace("@media", "").contains('@'), "{sheet}");
    }
}
