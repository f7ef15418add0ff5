//! What the reader's system or paper asks for: few colours, no motion, print, large text.

use std::fs;

use serde_json::{Value, json};

use crate::{
    browser::{Browser, NAME, PASSWORD, make_account},
    look::pictures,
    story,
    support::TestApp,
};

/// A day's incidents with a postmortem of the worst; its id.
async fn a_day(test: &TestApp) -> String {
    make_account(test).await;
    story::tell(test).await;
    let all = test.get("/api/incidents?limit=50").await.json;
    let outage = all["incidents"].as_array().unwrap().iter().find(|i| i["alert_count"].as_u64() > Some(5)).unwrap();
    let id = outage["id"].as_str().unwrap().to_owned();
    let drafted = test.post(&format!("/api/incidents/{id}/postmortem/draft"), &json!({})).await;
    assert!(drafted.status.is_success(), "{}", drafted.text);
    id
}

async fn reader(test: &TestApp) -> Browser {
    let browser = Browser::new(test).await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    browser
}

/// The marks of severity and status that are shown, each with its size and whether it stands out from what is behind it.
const MARKS: &str = "[...document.querySelectorAll('main .sev .i, main .st .i, main .pulse')].filter((e) => e.checkVisibility())
    .map((e) => { const box = e.getBoundingClientRect(), style = getComputedStyle(e);
        const drawn = e.matches('.pulse') ? style.backgroundColor : style.fill === 'none' ? style.stroke : style.fill;
        return { box: Math.min(box.width, box.height), drawn, ground: getComputedStyle(document.body).backgroundColor }; })";

#[tokio::test(flavor = "multi_thread")]
async fn with_forced_colours_the_shapes_stay() {
    let test = TestApp::start().await;
    let id = a_day(&test).await;
    let browser = reader(&test).await;
    for theme in ["light", "dark"] {
        browser.media("", &[("forced-colors", "active"), ("prefers-color-scheme", theme)]).await;
        for (path, least) in [("/incidents".to_owned(), 8), (format!("/incidents/{id}"), 4), ("/alerts".to_owned(), 8)]
        {
            browser.open(&path).await;
            assert_eq!(browser.js("matchMedia('(forced-colors: active)').matches").await, true);
            let marks = browser.js(MARKS).await;
            let marks = marks.as_array().unwrap();
            assert!(marks.len() >= least, "{path}: {} marks", marks.len());
            for mark in marks {
                assert!(mark["box"].as_f64() >= Some(6.0), "{path} {theme}: {mark}");
                let drawn = mark["drawn"].as_str().unwrap();
                assert!(
                    drawn != mark["ground"] && drawn != "rgba(0, 0, 0, 0)" && drawn != "none",
                    "{path} {theme}: {mark}"
                );
            }
            // Words beside them, also those that a phone hides.
            assert!(browser.count("main .sev").await > 0);
            let wordless = "[...document.querySelectorAll('main .sev')].filter((e) => !e.textContent.trim()).length";
            assert_eq!(browser.js(wordless).await, 0, "{path}");
            let file = format!("forced-colours-{}-{theme}.png", path.split('/').nth(1).unwrap());
            fs::write(pictures().join(file), browser.picture(false).await).unwrap();
        }
    }
    test.stop().await;
}

const MOVING: &str =
    "document.getAnimations().filter((a) => a.playState === 'running').map((a) => a.animationName ?? 'transition')";

#[tokio::test(flavor = "multi_thread")]
async fn with_less_motion_nothing_moves() {
    let test = TestApp::start().await;
    make_account(&test).await;
    // Its investigation has not begun: the mark of what is alive pulses.
    test.deliver("generic", &json!({"title": "Queue is late", "service": "mailer", "severity": "high"})).await;
    let browser = reader(&test).await;
    let live = "document.documentElement.dataset.stream === 'live'";
    for (asked, moves) in [("no-preference", true), ("reduce", false)] {
        browser.media("", &[("prefers-reduced-motion", asked)]).await;
        for path in ["/incidents", "/incidents/1"] {
            browser.open(path).await;
            browser.until("the stream", live).await;
            let moving = browser.js(MOVING).await;
            assert_eq!(moving.as_array().unwrap().contains(&json!("pulse")), moves, "{path}: {moving}");
        }
        browser.open("/incidents").await;
        browser.until("the stream", live).await;
        let action = if moves { "acknowledge" } else { "unacknowledge" };
        let done = test.post(&format!("/api/incidents/1/{action}"), &Value::Null).await;
        assert!(done.status.is_success(), "{}", done.text);
        browser.until("the changed cell", "document.querySelector('td.warm')").await;
        let moving = browser.js(MOVING).await;
        assert_eq!(moving.as_array().unwrap().contains(&json!("warm")), moves, "{moving}");
        assert!(moves || moving == json!([]), "{moving}");
    }
    test.stop().await;
}

/// On paper: what is no part of the document, and text that is not dark on white.
const ON_PAPER: &str = "(() => {
    const wrong = [...document.querySelectorAll('.rail, .tabbar, .toasts, .bulk, .anchors, .acts, button, input, textarea, select, #newpill, #offline')]
        .filter((e) => e.checkVisibility()).map((e) => 'printed: ' + e.outerHTML.slice(0, 80));
    const colour = (c) => c.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => { const f = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
    const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let texts = 0;
    for (let n = all.nextNode(); n; n = all.nextNode()) {
        const e = n.parentElement;
        if (!n.data.trim() || !e.checkVisibility() || !e.getClientRects().length) continue;
        texts += 1;
        const ratio = 1.05 / (light(colour(getComputedStyle(e).color)) + 0.05);
        if (ratio < 4.5) wrong.push('pale: ' + n.data.trim().slice(0, 40) + ' ' + ratio.toFixed(1));
    }
    if (texts < 30) wrong.push('only ' + texts + ' texts');
    if (colour(getComputedStyle(document.body).backgroundColor).slice(0, 3).some((c) => c < 255)) wrong.push('the paper is not white');
    if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the paper');
    return wrong;
})()";

#[tokio::test(flavor = "multi_thread")]
async fn paper_has_the_document_black_on_white() {
    let test = TestApp::start().await;
    let id = a_day(&test).await;
    let browser = reader(&test).await;
    let link = json!({"text": "The log is at https://logs.example.com/payments?from=noon"});
    test.post(&format!("/api/incidents/{id}/comment"), &link).await;
    browser.js("(document.cookie = 'theme=dark; path=/; samesite=lax')").await;
    for name in ["postmortems", "incidents"] {
        browser.size(1440, 900).await;
        browser.media("", &[]).await;
        browser.open(&format!("/{name}/{id}")).await;
        browser.until("scripts", "document.documentElement.classList.contains('on')").await;
        assert_eq!(browser.js("document.querySelector('.rail').checkVisibility()").await, true);
        browser.media("print", &[]).await;
        // A4 between its margins, at 96 dots an inch.
        browser.size(673, 980).await;
        assert_eq!(browser.js(ON_PAPER).await, json!([]), "{name}");
        fs::write(pictures().join(format!("print-{name}.png")), browser.picture(true).await).unwrap();
        let printed = browser.devtools("Page.printToPDF", json!({"preferCSSPageSize": true})).await;
        let file =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, printed["data"].as_str().unwrap());
        let file = file.unwrap();
        assert!(file.starts_with(b"%PDF-"), "{name}");
        fs::write(pictures().join(format!("print-{name}.pdf")), file).unwrap();
    }
    test.stop().await;
}
