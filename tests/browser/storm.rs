//! Two thousand alerts within a minute while somebody reads the list: nothing moves, the page stays quick, and the numbers
//! are right.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

const PARTS: u64 = 30;
const EACH: u64 = 68;
/// Milliseconds that a script may keep the page from answering.
const TASK: f64 = 200.0;

/// Where the reader is: the first row, how far the page is scrolled, the cursor, and the order of the rows.
const PLACE: &str = "[document.querySelector('tr[data-row]').getBoundingClientRect().top, scrollY,
    document.querySelector('tr.cur')?.dataset.row, [...document.querySelectorAll('tr[data-row]')].map((r) => r.dataset.row).join()]";

/// Notes how long each task took that was long.
const TASKS: &str = "(window.tasks = [], new PerformanceObserver((all) => {
    for (const e of all.getEntries()) tasks.push(e.duration);
}).observe({ type: 'longtask' }), 1)";

/// A service with something known of it, so that neither the clock nor a like title joins anything to it.
fn service(n: u64) -> String {
    format!("{}-{n}", ["checkout", "payments", "orders", "search"][(n * n % 4) as usize])
}

fn alert(n: u64) -> Value {
    // Half of them are of an incident that is there already.
    let (of, key) = if n.is_multiple_of(2) { (n, format!("z{n}")) } else { (n % 40 * 2, format!("again-{n}")) };
    let severity = ["critical", "high", "medium", "low"][(n / 2 % 4) as usize];
    let started = start_of_time().minus(Duration::from_secs(of * 2_400));
    json!({"title": format!("Queue {of} is late"), "service": service(of), "host": format!("zone-{of}"), "key": key,
        "severity": severity, "started_at": started})
}

/// Incidents that are open, counted, not estimated.
fn open(test: &TestApp) -> u64 {
    test.app().store().view().unwrap().overview(test.clock.now()).unwrap().open
}

async fn send(test: &TestApp, numbers: impl Iterator<Item = u64>) {
    let sent = test.deliver("generic", &json!({"alerts": numbers.map(alert).collect::<Vec<_>>()})).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_moves_nothing_and_keeps_the_page_quick() {
    let test = TestApp::start().await;
    let most = 80 + PARTS * EACH;
    let apart: Vec<_> = (0..most)
        .step_by(2)
        .map(|n| json!({"name": service(n), "depends_on": [format!("{}-store", service(n))]}))
        .collect();
    assert!(test.put("/api/topology", &json!({ "services": apart })).await.status.is_success());
    send(&test, (0..80).step_by(2)).await;
    let first = open(&test);
    let browser = Browser::signed_in(&test).await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    browser.press("jjj").await;
    browser.js("scrollTo(0, 240)").await;
    browser.until("the scroll", "scrollY === 240").await;
    browser.js("(watched.moved = 0, watched.moves.length = 0)").await;
    browser.js(TASKS).await;
    // It is seen when there is one.
    // Not in the task of the driver, which does not count.
    browser.run("setTimeout(() => { const from = performance.now(); while (performance.now() - from < 120); })").await;
    browser.until("a long task", "tasks.splice(0).some((t) => t >= 100)").await;
    let before = browser.js(PLACE).await;

    let mut longest = Vec::new();
    let began = std::time::Instant::now();
    for third in 0..3 {
        for part in third * PARTS / 3..(third + 1) * PARTS / 3 {
            send(&test, (0..EACH).map(|k| 80 + part * EACH + k)).await;
        }
        // All of it has arrived on the page.
        let open = open(&test);
        let words = if open < 1_000 { open.to_string() } else { format!("{},{:03}", open / 1_000, open % 1_000) };
        browser.until("the number of open ones", &format!("document.title.includes(' {words} open')")).await;
        longest.push(browser.js("Math.max(0, ...tasks.splice(0))").await.as_f64().unwrap());
    }
    let said = format!(
        "{} alerts in {:.0} s; longest tasks of the page in each third: {longest:.0?} ms\n",
        PARTS * EACH,
        began.elapsed().as_secs_f64()
    );
    print!("{said}");
    fs::write(crate::look::pictures().join("storm.txt"), &said).unwrap();

    assert_eq!(browser.js(PLACE).await, before, "what is read stays where it is");
    assert_eq!(browser.js("watched.moved").await, json!(0), "{}", browser.js("watched.moves").await);
    // The machine does other things meanwhile, and a task waits with it: what the page itself does, it does each time.
    let least = longest.iter().copied().fold(f64::MAX, f64::min);
    assert!(least <= TASK, "{said}");
    let open = open(&test);
    assert!(open > 1_000, "{open} are open");
    browser.sees("#newpill", &format!("{} new incidents", open - first)).await;
    assert_eq!(browser.text(".rail [data-open]").await, "99+");
    assert_eq!(browser.text(".views [data-count=open]").await, "99+");

    // Opened anew the page says that it is a storm, by service.
    browser.open("/incidents").await;
    browser.sees("#storm-h", "Storm:").await;
    assert_eq!(browser.count(".storm-list li").await, 24);

    // As many are read by service; the numbers over the groups are those of the API.
    browser.open("/incidents?group=service&q=status:open").await;
    let name = browser.text("tbody.grp b").await;
    let groups = "[...document.querySelectorAll('tbody.rows')].every((b) => new Set([...b.rows].map((r) => r.querySelector('.c-sv').textContent)).size === 1)";
    assert_eq!(browser.js(groups).await, true, "each group is of one service");
    let of = test.get(&format!("/api/incidents?q=status:open%20service:{name}&limit=1")).await.json["total"].clone();
    assert_eq!(browser.text("tbody.grp [data-count]").await, of.to_string());
    assert_eq!(browser.complaints().await, [""; 0]);
    test.stop().await;
}
