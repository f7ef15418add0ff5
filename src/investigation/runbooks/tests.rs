use super::{book::fits, *};
use crate::investigation::{examine, folder::File, tests::case_of};

fn book(name: &str, text: &str) -> Book {
    let (book, faults) = Book::of_file(&File { name: name.to_owned(), text: text.to_owned() });
    assert_eq!(faults, [], "{name}");
    book
}

fn shelf() -> Vec<Book> {
    vec![
        book("by-labels.md", "---\nlabels:\n  team: shop\n---\n# Shop\nCall the shop team.\n"),
        book(
            "by-service.md",
            "---\nservices: [checkout]\n---\n# Checkout\nWhat it is.\n\n## Slow answers\nLook at the pool.\n\n## Certificate expires\nRenew it.\n",
        ),
        book("by-alert.md", "---\nalerts: [HighErrorRate, 'Slow*']\n---\n# Errors\nGroup them.\n"),
        book("HighCPU.md", "# Processors\nSee top.\n"),
        book("mixed/all.md", "# All\n\n## KubePodCrashLooping\nDescribe the pod.\n\n## Other\nNo.\n"),
        book("by-keyword.md", "---\nkeywords: [payment refused]\n---\nAsk the bank.\n"),
        book(
            "by-text.md",
            "# Databases\n\n## PostgreSQL replication lag\nMeasure how far the replica is behind.\n\n## Backups\nNo.\n",
        ),
    ]
}

#[test]
fn the_best_reason_comes_first_and_names_the_section() {
    let check = |title: &str, service: &str, labels: &[(&str, &str)], want: &[(&str, &str)]| {
        let case = case_of(title, Some(service), "grafana", labels);
        let books = shelf();
        let found = find(&case, books.iter());
        let got: Vec<(&str, &str)> = found
            .iter()
            .map(|m| (m.url.as_deref().unwrap_or(""), m.section.as_ref().map_or("", |s| s.heading.as_str())))
            .collect();
        assert_eq!(got, want, "{title}");
    };
    check(
        "HighErrorRate: 5xx",
        "checkout",
        &[("team", "shop")],
        &[
            ("/runbooks/by-alert.md#errors", "Errors"),
            ("/runbooks/by-service.md#checkout", "Checkout"),
            ("/runbooks/by-labels.md#shop", "Shop"),
        ],
    );
    check(
        "Slow answers",
        "checkout",
        &[],
        &[("/runbooks/by-alert.md#errors", "Errors"), ("/runbooks/by-service.md#slow-answers", "Slow answers")],
    );
    check(
        "TLS certificate expires soon",
        "checkout",
        &[],
        &[("/runbooks/by-service.md#certificate-expires", "Certificate expires")],
    );
    check("HighCPU", "x", &[], &[("/runbooks/HighCPU.md#processors", "Processors")]);
    check(
        "a",
        "x",
        &[("alertname", "KubePodCrashLooping")],
        &[("/runbooks/mixed/all.md#kubepodcrashlooping", "KubePodCrashLooping")],
    );
    check("The payment was refused", "x", &[], &[]);
    check("Payment refused for 3 users", "x", &[], &[("/runbooks/by-keyword.md", "")]);
    check(
        "Postgres replication lag",
        "x",
        &[],
        &[("/runbooks/by-text.md#postgresql-replication-lag", "PostgreSQL replication lag")],
    );
    check("Something else", "x", &[("team", "other")], &[]);
}

#[test]
fn patterns_fit_names_and_titles_that_go_on() {
    let check = |pattern: &str, name: &str, want: bool| assert_eq!(fits(pattern, name), want, "{pattern} {name}");
    check("HighErrorRate", "higherrorrate", true);
    check("HighErrorRate", "HighErrorRate: 5xx", true);
    check("HighErrorRate", "HighErrorRates", false);
    check("Kube*Down", "KubeNodeDown", true);
    check("Kube*Down", "KubeNodeDowner", false);
    check("*Down", "TargetDown", true);
    check("*", "anything", true);
    check("", "anything", false);
}

#[test]
fn what_the_sender_names_comes_first_and_is_a_link_only_when_it_leads_to_a_page() {
    let check = |url: &str, link: bool| {
        let mut case = case_of("HighErrorRate", Some("checkout"), "grafana", &[]);
        case.alerts[0].runbook_url = Some(url.to_owned());
        let books = shelf();
        case.runbooks = find(&case, books.iter());
        assert_eq!(case.runbooks[0].url.as_deref(), Some(url));
        assert_eq!(case.runbooks[0].is_link(), link, "{url}");
        let (_, finish) = examine(&case);
        let first = &finish.answer.suggestions[0];
        assert_eq!(first.runbook_url.as_deref(), Some(url).filter(|_| link), "{url}");
        assert!(link || first.rationale.contains(url), "{}", first.rationale);
        let shown = finish.answer.evidence.iter().find(|e| e.id == first.evidence[0]).unwrap();
        assert_eq!(shown.kind, crate::model::EvidenceKind::Runbook);
        assert_eq!(shown.url.as_deref(), Some(url).filter(|_| link), "{url}");
    };
    check("https://wiki.example.com/x", true);
    check("javascript:alert(1)", false);
    check("ops/handbook chapter 3", false);
}

#[test]
fn a_thought_and_evidence_say_which_section_and_why() {
    let mut case = case_of("TLS certificate expires soon", Some("checkout"), "grafana", &[]);
    let books = shelf();
    case.runbooks = find(&case, books.iter());
    let (lines, finish) = examine(&case);
    let said = lines.iter().find(|l| l.text.contains("in the runbook")).unwrap();
    assert!(
        said.text
            .starts_with("“Certificate expires” in the runbook “Checkout” fits: it is for the service checkout [E"),
        "{}",
        said.text
    );
    let shown = finish.answer.evidence.iter().find(|e| e.id == said.evidence[0]).unwrap();
    assert_eq!(shown.data["lines"][0], "Renew it.");
    assert_eq!(finish.answer.suggestions[0].title, "Follow “Certificate expires” in the runbook “Checkout”");
    assert_eq!(
        finish.answer.suggestions[0].runbook_url.as_deref(),
        Some("/runbooks/by-service.md#certificate-expires")
    );
}

#[test]
fn declared_services_bring_their_runbook_and_their_aliases() {
    let mut case = case_of("High CPU", Some("co"), "grafana", &[]);
    case.declared = vec![Service {
        name: "checkout".into(),
        aliases: vec!["co".into()],
        runbook_url: Some("https://wiki.example.com/checkout".into()),
        ..Service::default()
    }];
    let books = shelf();
    let found = find(&case, books.iter());
    assert_eq!(found[0].fit, Fit::Declared("checkout".into()));
    assert_eq!(found[1].fit, Fit::Service("co".into()), "{found:?}");
}
