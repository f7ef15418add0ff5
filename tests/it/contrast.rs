//! Contrast of every colour that text, borders or the focus have, on everything that they stand on, in light and in dark,
//! computed from the tokens of the stylesheet: a changed token cannot make the pages illegible.

use std::collections::BTreeMap;

type Rgb = [u8; 3];

/// What text stands on.
const GROUNDS: [&str; 7] = ["bg", "surface", "raised", "sunken", "hover", "code", "cursor"];
/// Colours of text, which may stand on any of them, each with a tint of its own where there is one.
const TEXT: [&str; 10] = ["ink", "ink-2", "ink-3", "link", "ember", "crit", "high", "med", "low", "ok"];
/// Text on what is not the page: pairs of text and ground.
const PAIRS: [(&str, &str); 15] = [
    ("rail", "rail-ember"),
    ("on-primary", "primary"),
    ("on-primary", "primary-h"),
    ("rail-ink", "rail"),
    ("rail-ink", "rail-hover"),
    ("rail-ink-2", "rail"),
    ("rail-ink-2", "rail-hover"),
    ("rail-ember", "rail"),
    ("rail-ember", "rail-hover"),
    ("ink", "ember-soft"),
    ("ink", "crit-soft"),
    ("ink", "high-soft"),
    ("ink", "med-soft"),
    ("ink", "ok-soft"),
    ("ink-2", "low-soft"),
];
/// What must be seen, but is not read: the border of a control and the focus.
const SHAPES: [&str; 2] = ["line-strong", "focus"];
/// Colours of dividers, figures and hills, which say nothing alone.
const DECORATION: [&str; 13] = [
    "line",
    "ember-line",
    "primary-line",
    "rail-line",
    "rail-hill",
    "ridge-far",
    "ridge-near",
    "ridge-line",
    "heat1",
    "heat2",
    "heat3",
    "heat4",
    "shadow",
];

/// Each colour of the stylesheet, light and dark.
fn tokens() -> BTreeMap<String, [Rgb; 2]> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/css/tokens.css");
    let text = std::fs::read_to_string(file).unwrap();
    let colour = |hex: &str| {
        let n = u32::from_str_radix(hex.trim().trim_start_matches('#'), 16).unwrap_or_else(|e| panic!("{hex}: {e}"));
        assert_eq!(hex.trim().len(), 7, "{hex}");
        [(n >> 16) as u8, (n >> 8) as u8, n as u8]
    };
    let declared = text.lines().filter_map(|line| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
        let (light, dark) = value.trim_end().strip_suffix(");")?.split_once(',')?;
        Some((name.to_owned(), [colour(light), colour(dark)]))
    });
    declared.collect()
}

/// The luminance and the ratio of WCAG 2.2.
fn luminance(colour: Rgb) -> f64 {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = colour.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn ratio(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn the_ratio_is_that_of_the_standard() {
    assert!((ratio([0, 0, 0], [255, 255, 255]) - 21.0).abs() < 1e-9);
    // The best known grey: 4.54 on white.
    assert!((ratio([0x76, 0x76, 0x76], [255, 255, 255]) - 4.54).abs() < 0.01);
}

#[test]
fn text_is_legible_on_whatever_it_stands_on() {
    let tokens = tokens();
    let mut wrong = Vec::new();
    let mut asked = 0;
    let mut check = |front: &str, ground: &str, least: f64| {
        for (theme, name) in ["light", "dark"].into_iter().enumerate() {
            let got = ratio(tokens[front][theme], tokens[ground][theme]);
            asked += 1;
            if got < least {
                wrong.push(format!("{front} on {ground} in {name}: {got:.2}, and {least} is needed"));
            }
        }
    };
    for text in TEXT {
        GROUNDS.iter().for_each(|ground| check(text, ground, 4.5));
        let tint = format!("{text}-soft");
        if tokens.contains_key(&tint) {
            check(text, &tint, 4.5);
        }
    }
    PAIRS.iter().for_each(|(text, ground)| check(text, ground, 4.5));
    for shape in SHAPES {
        ["bg", "surface", "raised"].iter().for_each(|ground| check(shape, ground, 3.0));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 150, "{asked}: the stylesheet was not read");
}

#[test]
fn every_colour_has_its_place_here() {
    let tints = TEXT.iter().map(|t| format!("{t}-soft"));
    let known: Vec<String> = GROUNDS
        .into_iter()
        .chain(TEXT)
        .chain(SHAPES)
        .chain(DECORATION)
        .chain(PAIRS.iter().flat_map(|(a, b)| [*a, *b]))
        .map(str::to_owned)
        .chain(tints)
        .collect();
    let unknown: Vec<String> = tokens().into_keys().filter(|t| !known.contains(t)).collect();
    assert!(unknown.is_empty(), "say what stands on or under {unknown:?}");
}

#[test]
fn no_other_colour_is_named_outside_of_the_tokens() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/css");
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        // Paper is white whatever the theme is.
        if ["tokens.css", "print.css"].iter().any(|n| path.ends_with(n)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (n, line) in text.lines().enumerate() {
            let colour = line.match_indices('#').find(|(at, _)| {
                let name = line[at + 1..].bytes().take_while(u8::is_ascii_hexdigit).count();
                let value = line[..*at].rfind([':', '{', ';']).is_some_and(|c| line.as_bytes()[c] == b':');
                (name == 3 || name == 6 || name == 8) && value
            });
            assert!(colour.is_none(), "{} line {}: {line}", path.display(), n + 1);
        }
    }
}
