//! Pairs that must be close and pairs that must be far, what names and numbers do not say, and what holds for any text.

use proptest::prelude::*;

use super::*;

fn likeness(a: &str, b: &str) -> f64 {
    // `title | description`
    let read = |text: &str| {
        let (title, description) = text.split_once('|').unwrap_or((text, ""));
        Doc::read(title.trim(), description.trim())
    };
    similarity(&read(a), &read(b))
}

fn check(pairs: &[(&str, &str)], range: std::ops::RangeInclusive<f64>) {
    let wrong: Vec<String> = pairs
        .iter()
        .map(|(a, b)| (likeness(a, b), a, b))
        .filter(|(s, ..)| !range.contains(s))
        .map(|(s, a, b)| format!("{s:.2}  {a}  ~  {b}"))
        .collect();
    assert!(wrong.is_empty(), "not in {range:?}:\n{}", wrong.join("\n"));
}

#[test]
fn the_same_said_by_two_tools_is_close() {
    check(
        &[
            ("CPU usage above 90% on web-01", "High processor load on db-2"),
            ("system.cpu.user is high", "CPUUtilizationHigh | EC2 instance i-0abc12345 uses 97% CPU"),
            ("Disk full on /var", "NodeFilesystemAlmostOutOfSpace"),
            ("/: Disk space is critically low (used > 90%)", "disk_space_usage"),
            ("Running out of free inodes (free < 10%)", "NodeFilesystemAlmostOutOfFiles | Few inodes left on /data"),
            ("Host unreachable", "Unavailable by ICMP ping"),
            ("Lack of available memory", "ram_in_use"),
            ("mysql_slave_behind | 120 seconds behind source", "MySQL replication lag"),
            ("PostgreSQL down", "pg_up is 0 | Postgres instance is unreachable"),
            ("Too many connections to MongoDB", "MongodbConnectionsExhausted"),
            ("KubePodCrashLooping | CrashLoopBackOff", "Pod keeps restarting"),
            ("KubeNodeNotReady", "Kubernetes node is in NotReady state"),
            ("Container OOMKilled", "Container was killed: out of memory"),
            ("Service checkout: error rate above 5%", "Failure rate increase on checkout"),
            ("P95 latency above 2s", "Response time degradation"),
            ("nginx 5xx rate", "HTTP 503 from upstream nginx"),
            ("SSL certificate expires in 7 days", "TLS cert about to expire"),
            ("x509check_days_until_expiration", "Certificate expiry is near"),
            ("Kafka consumer lag", "KafkaConsumerGroupLagging | consumer group payments is behind on topic orders"),
            ("SQS ApproximateAgeOfOldestMessage", "SQS queue backlog is growing"),
            ("BGP session down to peer 10.0.0.1", "BGP neighbor lost"),
            ("Node clock not synchronising", "NTP offset too large"),
            ("JVM old generation garbage collection takes too long", "Long GC pause on java service"),
            ("Redis memory usage is high", "RedisMemoryHigh | Redis uses 95% of its memory"),
            ("Backup job failed", "Nightly backup did not complete"),
            ("Jenkins job failed", "Build #12 failed on Jenkins"),
            ("etcdNoLeader", "etcd cluster has no leader"),
            ("Ceph OSD down", "CephOSDDown"),
            ("DNS resolution failed", "Name resolution errors on resolver"),
        ],
        0.7..=1.0,
    );
}

#[test]
fn two_things_or_two_troubles_are_far() {
    check(
        &[
            ("MySQL replication lag", "PostgreSQL replication lag"),
            ("Redis memory usage is high", "Memcached memory usage is high"),
            ("CPU usage above 90%", "Memory usage above 90%"),
            ("Disk full on /var", "Free inodes are low"),
            ("Disk read latency high", "Disk space low"),
            ("Kafka consumer lag", "RabbitMQ queue backlog"),
            ("nginx 5xx rate", "nginx 4xx rate"),
            ("MySQL CPU usage is high", "CPU usage is high on db-3"),
            ("PostgreSQL down", "PostgreSQL deadlocks"),
            ("Elasticsearch search latency", "Elasticsearch unassigned shards"),
            ("KubePodCrashLooping", "KubeNodeNotReady"),
            ("SSL certificate expires in 7 days", "License expires in 7 days"),
            ("etcd no leader", "Consul no leader"),
            ("Host unreachable", "Fan failure"),
            ("Jenkins build failed", "Backup job failed"),
            ("Interface eth0: link down", "Interface eth0: high bandwidth usage"),
            ("Lambda throttled", "DynamoDB throttled"),
            ("VPN tunnel is down", "BGP session down"),
            ("Mail queue is growing", "Disk queue is long"),
            ("Kyverno is down", "Harbor registry is down"),
            ("Alpha", "Omega"),
            ("", ""),
            ("", "CPU usage above 90%"),
        ],
        0.0..=0.4,
    );
}

#[test]
fn names_and_numbers_say_which_and_not_what() {
    check(
        &[
            ("Disk full on web-01", "Disk full on web-02"),
            ("Disk 91% full on ip-10-0-0-7.eu-west-1.compute.internal", "Disk 97.5% full on 10.0.0.9"),
            ("Pod checkout-7d9f8b6c4d-x2x9z restarts", "Pod restarts"),
            ("Latency 500 ms on {{ $labels.instance }}", "Latency 250 ms on ${host}"),
        ],
        1.0..=1.0,
    );
}

#[test]
fn what_a_text_is_about() {
    let check = |title: &str, component: Option<&str>, symptom: Option<&str>, classes: &[Class]| {
        let doc = Doc::read(title, "");
        assert_eq!((doc.component(), doc.symptom()), (component, symptom), "{title}");
        for class in [Class::Host, Class::Network] {
            assert_eq!(doc.is_about(class), classes.contains(&class), "{title}: {class:?}");
        }
    };
    check("MySQL replication lag", Some("mysql"), Some("replication_lag"), &[]);
    check("MySQL CPU usage is high", Some("mysql"), Some("cpu_high"), &[]);
    check("CPU usage is high", Some("cpu"), Some("cpu_high"), &[Class::Host]);
    check("Filesystem almost out of space", Some("disk"), Some("disk_full"), &[Class::Host]);
    check("High packet loss", Some("packet"), Some("packet_loss"), &[Class::Network]);
    check("Interface eth0: Link down", Some("interface"), Some("interface_down"), &[Class::Network]);
    check("DNS resolution failed", Some("dns"), Some("dns_failure"), &[Class::Network]);
    check("Host unreachable", Some("host"), Some("host_unreachable"), &[Class::Host, Class::Network]);
    check("No heartbeat from node", None, Some("host_unreachable"), &[Class::Network]);
    check("Odd", None, None, &[]);
}

#[test]
fn what_two_texts_share_is_told_in_words() {
    let shared = |a: &str, b: &str| shared(&Doc::read(a, ""), &Doc::read(b, ""));
    assert_eq!(
        shared("MySQL replication lag on orders", "Replica of orders' mysqld is behind"),
        ["replication lag", "mysql", "orders"]
    );
    assert!(shared("CPU high", "Certificate expires").is_empty());
}

#[test]
fn terms_of_the_index_keep_names_and_numbers() {
    for (text, want) in [
        ("checkoutApi_p99 > 5%", vec!["checkout", "api", "latency", "5"]),
        ("Connections refused", vec!["connection", "reject"]),
        ("pg-primary-1.db", vec!["postgres", "primary", "1", "database"]),
        ("KubePersistentVolumeFillingUp", vec!["pv", "full", "up"]),
        ("HTTP 503 in 250 ms", vec!["http", "http5xx", "250"]),
        ("", vec![]),
        ("Ünïcode ПРИВЕТ", vec!["ünïcode", "привет"]),
    ] {
        assert_eq!(terms(text).collect::<Vec<_>>(), want, "{text}");
    }
    assert_eq!(terms(&"x".repeat(5000)).count(), 0, "a dump is no word");
    let mut found = Vec::new();
    names("503 of Web-01.example.com, crash-looping: 10.0.0.7", |name| found.push(name.to_owned()));
    assert_eq!(found, ["web-01.example.com", "10.0.0.7"]);
}

#[test]
fn a_document_is_small_and_comes_back_as_it_was() {
    let words: Vec<String> =
        (0..200).map(|n| format!("word{}", char::from(b'a' + (n % 26) as u8).to_string().repeat(30 + n))).collect();
    for (title, description) in [
        ("MySQL replication lag on db-01", "The replica is 120 seconds behind; investigate the binlog"),
        ("", ""),
        (words.join(" ").as_str(), words.join(" ").as_str()),
    ] {
        let doc = Doc::read(title, description);
        let row = rmp_serde::to_vec_named(&doc).unwrap();
        assert!(row.len() < 1_200, "{} bytes", row.len());
        assert_eq!(rmp_serde::from_slice::<Doc>(&row).unwrap(), doc, "{title}");
    }
    let older: Doc =
        serde_json::from_str(r#"{"w":"+mysql +lag","c":["gone_from_the_lists"],"s":["replication_lag"]}"#).unwrap();
    assert_eq!((older.component(), older.symptom()), (None, Some("replication_lag")));
}

/// Words of the lists among any others, so that rules and phrases are met.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => proptest::sample::select(vec![
            "mysql", "PostgreSQL", "disk", "space", "low", "CPU", "usage", "not", "ready", "out", "of", "memory", "500",
            "errors", "{{", "}}", "${x}", "web-01", "10.0.0.1", "KubePodCrashLooping", "lag", "replica", "http_5xx",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(word, 0..20).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_two_texts_compare(a in text(), b in text(), c in text(), d in text()) {
        let (x, y) = (Doc::read(&a, &b), Doc::read(&c, &d));
        let likeness = similarity(&x, &y);
        prop_assert!((0.0..=1.0).contains(&likeness), "{likeness}");
        prop_assert_eq!(likeness.to_bits(), similarity(&y, &x).to_bits());
        prop_assert_eq!(similarity(&x, &x), if x.is_empty() { 0.0 } else { 1.0 });
        prop_assert_eq!(&Doc::read(&a, &b), &x);
        let again: Doc = serde_json::from_str(&serde_json::to_string(&x).unwrap()).unwrap();
        prop_assert_eq!(&again, &x);
        prop_assert!(shared(&x, &y).len() <= 6);
        prop_assert!(terms(&a).all(|t| !t.is_empty()));
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let doc = Doc::read(&text, &text);
        prop_assert!((0.0..=1.0).contains(&similarity(&doc, &Doc::read("CPU high", ""))));
    }
}
