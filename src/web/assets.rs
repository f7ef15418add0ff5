//! Stylesheet, scripts, icons and favicons: embedded, named by their content, compressed once, cached for a year.
//!
//! The stylesheet is kept in layers and served as one file, and so are the scripts (`scripts`).

use std::{collections::BTreeMap, io::Write, sync::LazyLock};

use axum::{
    body::Body,
    extract::Path,
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use super::scripts;

#[derive(Embed)]
#[folder = "assets/"]
#[exclude = "readme/*"]
struct Files;

/// The layers of the stylesheet: later ones win.
const LAYERS: &[&str] = &[
    "tokens",
    "base",
    "rail",
    "controls",
    "signals",
    "list",
    "incident",
    "alerts",
    "connectors",
    "services",
    "insights",
    "forms",
    "document",
    "small",
    "print",
];

#[derive(Debug)]
struct Asset {
    plain: Vec<u8>,
    gzip: Option<Vec<u8>>,
    kind: &'static str,
    etag: HeaderValue,
}

#[derive(Debug, Default)]
struct Assets {
    /// By the last part of the URL.
    served: BTreeMap<String, Asset>,
    /// From the plain name to the URL.
    urls: BTreeMap<String, String>,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::build);

/// The URL of an asset by its plain name (`app.css`, `icons.svg`, `js/app.js`, `fire.svg`). An unknown name gives a URL
/// that answers 404; a test looks every name up.
pub fn url(name: &str) -> &'static str {
    ASSETS.urls.get(name).map_or("/assets/missing", String::as_str)
}

/// `GET /assets/{*name}`.
pub async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.served.get(&name) else {
        return (StatusCode::NOT_FOUND, "There is no such file.\n").into_response();
    };
    let fresh = headers.get(header::IF_NONE_MATCH).is_some_and(|v| v == asset.etag);
    let zipped = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == "gzip")));
    let (body, encoding) = match &asset.gzip {
        Some(gzip) if zipped => (gzip.clone(), Some("gzip")),
        _ => (asset.plain.clone(), None),
    };
    let mut response = if fresh { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(Body::from(body)) };
    let h = response.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    h.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    h.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    h.insert(header::ETAG, asset.etag.clone());
    if let (Some(encoding), false) = (encoding, fresh) {
        h.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

impl Assets {
    fn build() -> Self {
        let mut all = Self::default();
        let mut css = Vec::new();
        for layer in LAYERS {
            css.extend_from_slice(shortened(&String::from_utf8_lossy(&read(&format!("css/{layer}.css")))).as_bytes());
        }
        all.add("app.css", hashed("app", &css, "css"), css, "text/css; charset=utf-8");
        let mut names: Vec<String> = Files::iter().map(|n| n.into_owned()).collect();
        names.sort_unstable();
        for name in names.iter().filter(|n| !n.contains('/')) {
            let bytes = read(name);
            if let Some(stem) = name.strip_suffix(".svg") {
                all.add(name, hashed(stem, &bytes, "svg"), bytes, "image/svg+xml");
            }
        }
        // A test puts them together as they are, so that nothing is left out here.
        let script = scripts::bundle(&sources(&names), "app.js").unwrap_or_default().into_bytes();
        all.add("js/app.js", hashed("app", &script, "js"), script, "text/javascript; charset=utf-8");
        all
    }

    fn add(&mut self, plain: &str, served: String, bytes: Vec<u8>, kind: &'static str) {
        let etag = HeaderValue::from_str(&format!("\"{}\"", hash(&bytes))).unwrap_or(HeaderValue::from_static("\"\""));
        self.urls.insert(plain.to_owned(), format!("/assets/{served}"));
        self.served.insert(served, Asset { gzip: gzip(&bytes), plain: bytes, kind, etag });
    }
}

/// The scripts, by their names without folder.
fn sources(names: &[String]) -> BTreeMap<String, String> {
    let scripts = names.iter().filter_map(|n| Some((n, n.strip_prefix("js/")?)));
    scripts.map(|(n, file)| (file.to_owned(), String::from_utf8_lossy(&read(n)).into_owned())).collect()
}

fn read(name: &str) -> Vec<u8> {
    Files::get(name).map(|f| f.data.into_owned()).unwrap_or_default()
}

/// A stylesheet without what only its authors read: comments, lines, and the spaces that our own way of writing puts beside
/// braces, colons and semicolons. A test makes sure that no text in it has these.
fn shortened(css: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(css.len()), css);
    while let Some((before, after)) = rest.split_once("/*") {
        before.lines().for_each(|line| out.push_str(line.trim()));
        rest = after.split_once("*/").map_or("", |(_, rest)| rest);
    }
    rest.lines().for_each(|line| out.push_str(line.trim()));
    for (long, short) in [(" { ", "{"), (" {", "{"), ("; ", ";"), (": ", ":"), (" }", "}")] {
        out = out.replace(long, short);
    }
    out
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|b| format!("{b:02x}")).collect()
}

fn hashed(stem: &str, bytes: &[u8], extension: &str) -> String {
    format!("{stem}-{}.{extension}", hash(bytes))
}

/// None when it does not pay.
fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|z| z.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compressed size of everything whose plain name passes.
    fn size(pass: impl Fn(&str) -> bool) -> usize {
        let served = |u: &String| ASSETS.served.get(u.trim_start_matches("/assets/")).unwrap();
        ASSETS
            .urls
            .iter()
            .filter(|(n, _)| pass(n))
            .map(|(_, u)| served(u))
            .map(|a| a.gzip.as_ref().map_or(a.plain.len(), Vec::len))
            .sum()
    }

    #[test]
    fn names_carry_the_hash_and_layers_are_all_there() {
        assert!(url("app.css").starts_with("/assets/app-") && url("app.css").ends_with(".css"));
        assert!(url("icons.svg").starts_with("/assets/icons-"));
        assert!(url("js/app.js").starts_with("/assets/app-") && url("js/app.js").ends_with(".js"));
        let names: Vec<String> = Files::iter().map(|n| n.into_owned()).collect();
        let script = scripts::bundle(&sources(&names), "app.js").unwrap();
        for file in sources(&names).keys() {
            assert!(script.contains(&format!("const m_{} =", file.trim_end_matches(".js"))), "nobody imports {file}");
        }
        assert_eq!(url("nothing.css"), "/assets/missing");
        for layer in LAYERS {
            assert!(!read(&format!("css/{layer}.css")).is_empty(), "{layer}");
        }
        assert_eq!(Files::iter().filter(|n| n.starts_with("css/")).count(), LAYERS.len(), "a layer is not listed");
    }

    #[test]
    fn scripts_have_no_text_over_several_lines() {
        for name in Files::iter().filter(|n| n.ends_with(".js")) {
            let text = String::from_utf8(read(&name)).unwrap();
            for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                assert!(line.matches('`').count().is_multiple_of(2), "{name}:{}", n + 1);
                assert!(!line.contains("/*") || line.contains("*/"), "{name}:{}", n + 1);
            }
        }
    }

    #[test]
    fn stylesheets_are_shortened_and_say_the_same() {
        assert_eq!(
            shortened("/* why */\n.a, .b { x: 1px 2px; y: z }\n@media (w) {\n  .a:is(.c) { x: 1 }\n}\n"),
            ".a, .b{x:1px 2px;y:z}@media (w){.a:is(.c){x:1}}"
        );
        for layer in LAYERS {
            let css = String::from_utf8(read(&format!("css/{layer}.css"))).unwrap();
            for (n, line) in css.lines().enumerate() {
                assert!(!line.contains("/*") || line.trim().starts_with("/*"), "{layer}:{}", n + 1);
                let texts = if line.contains(" { ") { line } else { "" };
                for text in texts.split('"').skip(1).step_by(2) {
                    assert!(!["{", "}", "; ", ": "].iter().any(|s| text.contains(s)), "{layer}:{}: {text}", n + 1);
                }
            }
        }
    }

    #[test]
    fn within_the_budgets() {
        let css = size(|n| n == "app.css");
        let js = size(|n| n.starts_with("js/"));
        assert!(css < 14 * 1024, "stylesheet: {css} bytes compressed");
        assert!(js < 14 * 1024, "scripts: {js} bytes compressed");
    }

    /// `light-dark(#A, #B)` of a token.
    fn token(css: &str, name: &str) -> [[f64; 3]; 2] {
        let (_, rest) = css.split_once(&format!("--{name}: light-dark(")).unwrap_or_else(|| panic!("no token {name}"));
        let pair = rest.split(')').next().unwrap();
        let colour = |hex: &str| -> [f64; 3] {
            let n = u32::from_str_radix(hex.trim().trim_start_matches('#'), 16).unwrap();
            [n >> 16, n >> 8 & 255, n & 255].map(|c| f64::from(c) / 255.0)
        };
        let mut both = pair.split(',').map(colour);
        [both.next().unwrap(), both.next().unwrap()]
    }

    /// WCAG 2.2: relative luminance and contrast ratio.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let light = |c: [f64; 3]| {
            let [r, g, b] = c.map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (x, y) = (light(a).max(light(b)), light(a).min(light(b)));
        (x + 0.05) / (y + 0.05)
    }

    #[test]
    fn contrast_of_every_pair_in_both_themes() {
        let css = String::from_utf8(read("css/tokens.css")).unwrap();
        let check = |front: &str, back: &str, least: f64| {
            for (theme, n) in [("light", 0), ("dark", 1)] {
                let ratio = contrast(token(&css, front)[n], token(&css, back)[n]);
                assert!(ratio >= least, "{front} on {back}, {theme}: {ratio:.2}, needs {least}");
            }
        };
        for front in ["ink", "ink-2", "ink-3", "link", "ember", "crit", "high", "med", "low", "ok"] {
            for back in ["bg", "surface", "sunken", "hover"] {
                check(front, back, 4.5);
            }
        }
        for hue in ["ember", "crit", "high", "med", "low", "ok"] {
            check(hue, &format!("{hue}-soft"), 4.5);
            check("ink", &format!("{hue}-soft"), 4.5);
        }
        for (front, back) in [
            ("on-primary", "primary"),
            ("on-primary", "primary-h"),
            ("rail-ink", "rail"),
            ("rail-ink-2", "rail"),
            ("rail-ink-2", "rail-hover"),
            ("rail-ink-2", "rail-hill"),
            ("rail-ember", "rail"),
            ("ink", "code"),
            ("ink", "raised"),
            ("ink-2", "raised"),
            ("ink-2", "cursor"),
        ] {
            check(front, back, 4.5);
        }
        for (front, back) in [
            ("line-strong", "surface"),
            ("line-strong", "bg"),
            ("focus", "bg"),
            ("focus", "surface"),
            ("rail-ember", "rail"),
        ] {
            check(front, back, 3.0);
        }
        assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 0.001);
    }

    #[test]
    fn no_inline_style_or_script_and_every_asset_is_there() {
        let mut templates = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { templates.push(entry.path()) }
            }
        }
        assert!(templates.len() > 20, "{}", templates.len());
        let icons = String::from_utf8(read("icons.svg")).unwrap();
        for path in templates {
            let html = std::fs::read_to_string(&path).unwrap();
            let name = path.display();
            assert!(!html.contains(" style="), "{name}: the policy forbids style attributes");
            assert!(!html.contains("<style"), "{name}: the policy forbids inline styles");
            assert!(!html.contains("|safe"), "{name}: markup is made by types, not by trust");
            for script in html.split("<script").skip(1) {
                assert!(script.contains(" src=") && script.starts_with(" type=\"module\""), "{name}: inline script");
            }
            for handler in [" onclick=", " onload=", " onerror=", "javascript:"] {
                assert!(!html.contains(handler), "{name}: {handler}");
            }
            for asset in html.split("asset(\"").skip(1).filter_map(|s| s.split('"').next()) {
                assert_ne!(url(asset), "/assets/missing", "{name}: {asset}");
            }
            for icon in html.split("icon(\"").skip(1).filter_map(|s| s.split('"').next()) {
                assert!(icons.contains(&format!("id=\"{icon}\"")), "{name}: no icon {icon}");
            }
        }
    }

    #[tokio::test]
    async fn served_compressed_and_for_ever() {
        let name = url("app.css").trim_start_matches("/assets/").to_owned();
        let mut h = HeaderMap::new();
        h.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0.8"));
        let r = serve(Path(name.clone()), h.clone()).await;
        assert_eq!(r.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(r.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        h.insert(header::IF_NONE_MATCH, r.headers()[header::ETAG].clone());
        assert_eq!(serve(Path(name), h.clone()).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve(Path("../Cargo.toml".into()), h).await.status(), StatusCode::NOT_FOUND);
    }
}
