use super::*;
use crate::web::pages::samples;

fn html(scene: &Scene) -> String {
    html_of(&samples::incident(2041), scene)
}

fn html_of(i: &Incident, scene: &Scene) -> String {
    Spread::new(i, scene, &samples::read().answer, samples::now()).render().unwrap()
}

/// So many alerts of one service after the other, at these seconds.
fn dots(n: u64, service: impl Fn(u64) -> Option<String>, second: impl Fn(u64) -> u64) -> Vec<Dot> {
    let dot = |n| Dot {
        number: n,
        title: format!("alert {n}"),
        service: service(n),
        host: Some("h".into()),
        severity: Severity::ALL[n as usize % Severity::ALL.len()],
        at: samples::ago(60).plus(Duration::from_secs(second(n))),
    };
    let mut dots: Vec<Dot> = (0..n).map(dot).collect();
    dots.sort_by_key(|d| (d.at, d.number));
    dots
}

fn count(html: &str, what: &str) -> usize {
    html.matches(what).count()
}

#[test]
fn lanes_and_map_say_the_same_as_their_tables() {
    let html = html(&samples::scene());
    for part in [
        "7\u{a0}alerts on 5\u{a0}services in 12\u{a0}min",
        "<text class=\"lab hot\" y=\"40\">payments-worker</text>",
        "deploy 2.31.0</text>",
        "incident opened 03:02</text>",
        "7\u{a0}alerts over time: payments-worker from 02:59:00, pg-primary-1 from 03:00:00, checkout-api from 03:02:00, \
         redis-cart from 03:04:00, 1 more. The last change is payments-worker 2.31.0 at 02:56:00.",
        "<tr><td class=\"w\"><a href=\"/alerts?q=incident%3AINC-2041+service%3Apayments-worker\"><bdi>payments-worker</bdi></a> \
         <span class=\"tag ember\">suspected origin</span>",
        "<bdi>Deploy: payments-worker 2.31.0</bdi></a></td><td><bdi>payments-worker</bdi>",
        "3\u{a0}min before the first alert",
        "<a href=\"/alerts?q=incident%3AINC-2041+service%3Apayments-worker\" class=\"node origin\"><title>\
         payments-worker, suspected origin, 1\u{a0}alert, the worst medium</title>",
        "<td><bdi>checkout-api</bdi></td><td><bdi>pg-primary-1</bdi></td><td class=\"num\">2, 2</td>",
        "Services it touches: 7\u{a0}services and 6 dependencies. The table below says the same.",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    // One mark for each alert, since none covers another; callers without alerts are on the map all the same.
    assert_eq!(count(&html, "<use href=\"#mk-"), 7);
    assert_eq!(count(&html, "<g class=\"edge hot\">"), 4);
    assert!(html.contains(">storefront</text>") && html.contains(">booking</text>"));
}

#[test]
fn what_is_known_by_two_names_is_one_place() {
    let mut scene = samples::scene();
    let aka = Service { name: "checkout-api".into(), aliases: vec!["Checkout".into()], ..Service::default() };
    scene.services = Topology::new(vec![aka], Vec::new(), Default::default());
    scene.dots = dots(4, |n| Some(["checkout-api", "CHECKOUT"][n as usize % 2].to_owned()), |n| n * 60);
    let html = html(&scene);
    assert!(html.contains("4\u{a0}alerts on 1\u{a0}service in 3\u{a0}min"), "{html}");
    assert!(html.contains("service%3Acheckout-api%2CCHECKOUT\""), "{html}");
    assert!(!html.contains("Services as a table") && !html.contains("no map"), "one service needs no map: {html}");
}

/// Ten thousand alerts of forty services in two hours.
pub fn storm() -> Scene {
    let dots = dots(10_000, |n| Some(format!("service-{}", n * 7919 % 40)), |n| n * 104_729 % 7200);
    Scene { dots, ..samples::scene() }
}

#[test]
fn ten_thousand_are_some_hundred_marks() {
    let scene = storm();
    let mut i = samples::incident(2041);
    i.alert_count = 12_345;
    let html = html_of(&i, &scene);
    let marks = count(&html, "<use href=\"#mk-");
    assert!((100..=400).contains(&marks), "{marks}");
    assert_eq!(count(&html, "<text class=\"lab"), 12);
    for part in ["and 28 more services", "×", "The first 10,000 alerts of 12,345."] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(count(&html, "<g><title>"), 2, "the words of single marks are left to the table");
}

#[test]
fn the_origin_has_a_lane_wherever_it_stands() {
    let mut scene = samples::scene();
    scene.dots = dots(30, |n| Some(if n == 29 { "payments-worker".into() } else { format!("s{n}") }), |n| n * 10);
    let html = html(&scene);
    assert!(html.contains("lab hot") && html.contains("and 18 more services"), "{html}");
}

#[test]
fn axes_fit_any_span() {
    let check = |seconds: u64, label: &str| {
        let mut scene = samples::scene();
        scene.changes.clear();
        scene.dots = dots(2, |_| Some("a".into()), |n| n * seconds);
        let mut i = samples::incident(1);
        i.detected_at = scene.dots[0].at;
        let html = html_of(&i, &scene);
        let ticks = count(&html, "class=\"fx\"");
        assert!((1..=8).contains(&ticks), "{seconds}: {ticks}");
        assert!(html.contains(&format!(">{label}</text>")), "{seconds}: {html}");
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    };
    check(0, "02:15");
    check(40, "02:15");
    check(3_600, "02:30");
    check(36 * 3_600, "4 Mar");
    check(40 * 86_400, "26 Mar");
}

#[test]
fn nothing_and_places_without_a_name_are_said() {
    let empty = html(&Scene::default());
    assert!(empty.contains("No alert belongs to it.") && !empty.contains("<svg class=\"story"), "{empty}");
    let mut scene = Scene { dots: dots(3, |_| None, |n| n), ..Scene::default() };
    scene.dots[1].host = None;
    let html = html(&scene);
    assert!(
        html.contains("3\u{a0}alerts on 2\u{a0}places in 2\u{a0}s") && html.contains(">without a place</text>"),
        "{html}"
    );
    assert!(html.contains("incident%3AINC-2041+host%3Ah\"") && html.contains("there is no map"), "{html}");
}

#[test]
fn foreign_text_stays_text() {
    let evil = "<script>alert(1)</script>\u{202e}\u{0}\"><img src=x onerror=alert(1)>";
    let mut scene = samples::scene();
    scene.services = Topology::new(
        vec![Service { name: evil.into(), depends_on: vec![format!("{evil}2")], ..Service::default() }],
        Vec::new(),
        Default::default(),
    );
    for (n, dot) in scene.dots.iter_mut().enumerate() {
        (dot.title, dot.host) = (evil.into(), Some(evil.into()));
        dot.service = (n > 1).then(|| if n > 3 { evil.into() } else { format!("{evil}2") });
    }
    for c in &mut scene.changes {
        (c.title, c.service, c.version, c.url) =
            (evil.into(), Some(evil.into()), Some(evil[..20].into()), Some("javascript:alert(1)".into()));
    }
    let html = html(&scene);
    assert!(html.contains("class=\"node") && html.contains("Changes around them"), "{html}");
    for bad in ["<script", "<img", "javascript:", "\u{202e}", "\u{0}"] {
        assert!(!html.contains(bad), "{bad}: {html}");
    }
}
