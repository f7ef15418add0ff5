use std::{collections::BTreeSet, fs, process::Command};

use proptest::prelude::*;

use super::{
    catalogue::FILES,
    entry::parse,
    template::{Form, Names, PLACEHOLDERS, Ways, form, mistakes, pieces, shell_quote, spelled_out},
    *,
};

/// Every name known, Free ones as given.
fn all(free: &str, inert: &str) -> Names {
    let mut names = Names::default();
    for (name, form, _) in PLACEHOLDERS {
        names.put(name, Some(if *form == Form::Free { free } else { inert }));
    }
    names
}

fn commands() -> Vec<(String, String, std::sync::Arc<Ways>)> {
    let catalogue = Catalogue::default();
    let entries = catalogue.entries().iter();
    // Some say in words that nothing can or need be taken back.
    let undo = |e: &Entry| e.undo.clone().filter(|u| e.command.is_some() && !u.starts_with("Not "));
    let written = entries.flat_map(|e| e.command.clone().into_iter().chain(undo(e)).map(move |c| (e, c)));
    written
        .flat_map(|(e, c)| spelled_out(&c, &e.ways).into_iter().map(move |c| (e.id.clone(), c, e.ways.clone())))
        .collect()
}

#[test]
fn every_file_of_the_catalogue_is_good_and_listed() {
    let mut ids = BTreeSet::new();
    for (name, text) in FILES {
        let parsed = parse(name, text);
        assert_eq!(parsed.faults, [], "{name}");
        for entry in parsed.entries {
            assert!(ids.insert(entry.id.clone()), "{} stands twice", entry.id);
        }
    }
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/investigation/data/suggestions");
    let there: BTreeSet<String> =
        fs::read_dir(dir).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(there, listed);
    assert_eq!(Catalogue::with(&[]).1, [], "technologies are told");
    assert_eq!(ids.len(), Catalogue::default().len());
}

#[test]
fn every_entry_of_the_catalogue_is_sound() {
    let catalogue = Catalogue::default();
    for e in catalogue.entries() {
        let id = &e.id;
        assert!(!e.title.ends_with('.') && e.expect.ends_with('.'), "{id}");
        assert!(e.title.len() <= 110, "{id}: a title is one line");
        if e.kind != SuggestionKind::Diagnostic {
            continue;
        }
        // A diagnostic reads, and reads within bounds.
        let Some(command) = &e.command else { continue };
        let words: BTreeSet<&str> =
            command.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).collect();
        for verb in [
            "rm",
            "kill",
            "pkill",
            "delete",
            "drop",
            "restart",
            "stop",
            "start",
            "reload",
            "apply",
            "edit",
            "patch",
            "scale",
            "drain",
            "cordon",
            "undo",
            "terminate",
            "purge",
            "truncate",
            "update",
            "insert",
            "alter",
            "set",
            "flushall",
            "prune",
            "tee",
            "mv",
            "cp",
            "dd",
            "reboot",
            "install",
            "--alter",
            "POST",
            "PUT",
            "DELETE",
            "-X",
        ] {
            // An option of psql, and a word that is looked for.
            let harmless = (verb == "-X" && command.contains("psql")) || (verb == "drop" && command.contains("| grep"));
            assert!(!words.contains(verb) || harmless, "{id} changes something: {verb}");
        }
        let has = |text: &str| command.contains(text);
        assert!(!has("select ") || has(" limit ") || has("show "), "{id} may print a whole table");
        assert!(!has("journalctl") || has("-n ") || has("| tail"), "{id} may print a whole journal");
        assert!(!has(" logs ") || has("--tail"), "{id} may print a whole log");
        assert!(!has("curl") || has("--max-time") || has("{es}"), "{id} may wait for ever");
        assert!(!has("tail -f") && !has("--follow") && !has("--watch "), "{id} never ends");
        assert!(!has("du ") || has("timeout"), "{id} may read for hours");
    }
    for symptom in Symptom::ALL {
        let helps = |e: &&Entry| {
            e.kind == SuggestionKind::Diagnostic && e.symptoms.contains(symptom) && e.technologies.is_empty()
        };
        assert!(catalogue.entries().iter().any(|e| helps(&e)), "nothing to look at for {symptom}");
    }
    for technology in catalogue.technologies().keys() {
        let helps = |e: &Entry| e.kind == SuggestionKind::Diagnostic && e.technologies.contains(technology);
        // These are looked at as what they are too, or by their symptom.
        let general = ["containers", "ci", "http", "tls", "opensearch"].contains(&technology.as_str());
        assert!(general || catalogue.entries().iter().any(helps), "nothing to look at for {technology}");
    }
}

/// Runs commands with every program replaced by one that notes how it was called; `ssh` hands on to a second shell, as it
/// does. What each was called with, sorted, since the parts of a pipe run at once.
fn called(commands: &[String]) -> Vec<String> {
    const PROGRAMS: &[&str] = &[
        "ssh",
        "kubectl",
        "psql",
        "mysql",
        "mysqladmin",
        "pg_isready",
        "redis-cli",
        "kafka-consumer-groups.sh",
        "kafka-topics.sh",
        "kafka-metadata-quorum.sh",
        "kafka-log-dirs.sh",
        "curl",
        "dig",
        "openssl",
        "ping",
        "mtr",
        "git",
        "gh",
        "glab",
        "sudo",
        "docker",
        "systemctl",
        "journalctl",
        "df",
        "free",
        "uptime",
        "ps",
        "ss",
        "ip",
        "nstat",
        "iostat",
        "vmstat",
        "sar",
        "top",
        "cat",
        "grep",
        "sort",
        "uniq",
        "head",
        "tail",
        "cut",
        "tr",
        "sed",
        "last",
        "lsof",
        "resolvectl",
        "timedatectl",
        "date",
        "systemd-cgtop",
        "sysctl",
        "xargs",
        "pgrep",
        "find",
        "du",
    ];
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let stub = dir.path().join("stub");
    // One write for each call, so that lines of a pipe do not mix.
    let script = "#!/bin/sh\nme=${0##*/}\nline=$(printf '<%s>' \"$N\" \"$me\" \"$@\")\nprintf '%s\\n' \"$line\" >> \"$LOG\"\nif [ \"$me\" = ssh ]; then while [ \"$1\" != -- ]; do shift; done; shift 2; exec /bin/sh -c \"$*\"; fi\n";
    fs::write(&stub, script).unwrap();
    fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for program in PROGRAMS {
        std::os::unix::fs::symlink(&stub, bin.join(program)).unwrap();
    }
    let mut whole = String::new();
    for (n, command) in commands.iter().enumerate() {
        whole.push_str(&format!("export N={n}\n{command}\n"));
    }
    let out = Command::new("/bin/sh")
        .args(["-c", &whole])
        .env_clear()
        .env("PATH", &bin)
        .env("LOG", &log)
        .current_dir(dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!said.contains("not found") && !said.contains("yntax"), "{said}");
    let mut lines: Vec<String> = fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn names_stay_names_in_every_shell_that_reads_a_command() {
    let all_commands = commands();
    let with = |inert: &str| -> Vec<String> {
        let names = all("free", inert);
        let filled =
            all_commands.iter().map(|(id, c, ways)| names.command(c, ways).unwrap_or_else(|| panic!("{id}: {c}")));
        filled.collect()
    };
    // What an inert name can be at worst.
    let worst = "a.b_c-D/e:f@g%41~h..//-rf";
    let tame: Vec<String> = called(&with("NAME")).iter().map(|l| l.replace("NAME", worst)).collect();
    let mut tame = tame;
    tame.sort();
    let wild = called(&with(worst));
    assert_eq!(wild, tame);
    assert!(wild.len() > all_commands.len(), "every command was called");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_real_shell_reads_free_names_as_one_word(value in "[ -~]{0,24}", strange in any::<String>()) {
        for value in [value, strange] {
            let mut names = Names::default();
            names.put("service", Some(&value));
            let Some(filled) = names.command("printf '%s|' {service} --{service} end", &Ways::new()) else { continue };
            let out = Command::new("sh").args(["-c", &filled]).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{value}|--{value}|end|"));
        }
    }
}

proptest! {
    #[test]
    fn only_inert_names_stand_where_a_second_reader_is(value in any::<String>(), near in "[a-z.$`'\"\\\\;&|<>(){}*?#! =@%~:/\\[\\]-]{1,12}") {
        for value in [value, near] {
            let names = all("x", &value);
            for (name, form, _) in PLACEHOLDERS.iter().filter(|(_, form, _)| *form == Form::Inert) {
                prop_assert_eq!(*form, Form::Inert);
                if let Some(taken) = names.get(name) {
                    let inner = taken.trim_start_matches('[').trim_end_matches(']');
                    prop_assert!(inner.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@%~".contains(c)), "{}", taken);
                    prop_assert!(!taken.starts_with(['-', '~', '%', '@']), "{}", taken);
                    prop_assert!(inner == taken || *name == "host_url", "{}", taken);
                }
            }
        }
    }
}

#[test]
fn shells_read_quoted_text_as_it_is() {
    for value in [
        "a",
        "",
        "it's",
        "'",
        "''",
        "$(id)",
        "`id`",
        "\\",
        "a b",
        "\"",
        "x'; echo y; '",
        "*",
        "~",
        "~root",
        "#a",
        "ä→",
        "a\\'b",
    ] {
        let script = format!("printf '%s|' {} end", shell_quote(value));
        let out = Command::new("sh").arg("-c").arg(&script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{value}|end|"), "{script}");
    }
}

#[test]
fn names_that_could_pose_as_something_else_are_not_used() {
    let check = |name: &'static str, value: &str, want: bool| {
        let mut names = Names::default();
        names.put(name, Some(value));
        assert_eq!(names.get(name).is_some(), want, "{name} {value:?}");
    };
    check("service", "db-1", true);
    check("service", "Zürich API", true);
    check("service", "x'; rm -rf /", true);
    check("service", "-oProxyCommand=x", false);
    check("service", "", false);
    check("service", " a", false);
    check("service", "a\nb", false);
    check("service", "a\u{1b}[201~", false);
    check("service", "a\u{202e}b", false);
    check("service", &"x".repeat(254), false);
    check("host", "db-1.example.com", true);
    check("host", "a b", false);
    check("host", "$(id)", false);
    check("host", "~root", false);
    check("host_url", "[2001:db8::1]", true);
    check("host", "[2001:db8::1]", false);
    check("url", "https://x/%41", true);
    check("url", "https://x/?a=b&c", false);
}

#[test]
fn braces_of_others_are_text() {
    let names = |t: &str| -> Vec<String> {
        let named = pieces(t).into_iter().filter_map(|p| match p {
            template::Piece::Name(n) => Some(n.to_owned()),
            template::Piece::Text(_) => None,
        });
        named.collect()
    };
    assert_eq!(names("ssh -- {host} 'a'"), ["host"]);
    assert_eq!(names("-w '%{http_code}' {{.Names}} {{name}} ${name} awk '{print $1}' -I{} {Big} {.spec}"), [""; 0]);
    assert_eq!(names("{a{host}b}"), ["host"]);
}

#[test]
fn commands_that_would_let_a_name_out_are_refused() {
    let check = |command: &str, part: &str| {
        let wrong = mistakes(command);
        match part {
            "" => assert_eq!(wrong, [""; 0], "{command}"),
            part => assert!(wrong.iter().any(|w| w.contains(part)), "{command}: {wrong:?}"),
        }
    };
    check("mytool --of {service} --on {host}", "");
    check("ssh -- {host} 'df -h {mountpoint}'", "");
    check("psql -h {host} -c \"select 1 from x where d = '{database}'\"", "");
    check("mytool '{service}'", "inside quotes");
    check("mytool \"{service}\"", "inside quotes");
    check("ssh -- {host} df {service}", "read once more");
    check("sh -c mytool {service}", "read once more");
    check("/bin/sh -c mytool {service}", "read once more");
    check("psql -c {service}", "read once more");
    check("curl https://example.com/{service}", "read once more");
    check("kubectl exec {pod} -- sh -c {service}", "read once more");
    check("eval {host}", "eval");
    check("ls $(echo {host})", "$(");
    check("ls `echo`", "backquote");
    check("echo 'a", "not closed");
    check("a\nb", "line end");
}

#[test]
fn the_list_is_short_and_says_nothing_twice() {
    for (name, case) in crate::investigation::tests::all_cases() {
        let (_, finish) = crate::investigation::examine(&case);
        let found = finish.answer.suggestions;
        assert!(found.len() <= MOST, "{name}");
        let kinds: Vec<SuggestionKind> = found.iter().map(|s| s.kind).collect();
        assert!(kinds.is_sorted(), "{name}: {kinds:?}");
        let titles: BTreeSet<&str> = found.iter().map(|s| s.title.as_str()).collect();
        assert_eq!(titles.len(), found.len(), "{name}");
        let commands: Vec<&String> = found.iter().filter_map(|s| s.command.as_ref()).collect();
        assert_eq!(commands.iter().collect::<BTreeSet<_>>().len(), commands.len(), "{name}");
        for s in &found {
            assert!(!s.title.contains('{') && form(&s.title).is_none(), "{name}: {}", s.title);
        }
    }
}
