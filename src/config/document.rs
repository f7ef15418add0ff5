//! The example file and the reference table, made from the list of options.

use std::fmt::Write;

use super::options::{CONNECTOR_OPTIONS, Kind, OPTIONS, SOURCE_OPTIONS, env_name, flag_name};

/// A value as it stands in the TOML file.
pub(super) fn toml_value(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Number | Kind::Bool => text.to_owned(),
        _ if text.contains('"') => format!("'{text}'"),
        Kind::Text | Kind::Secret | Kind::Duration | Kind::Size => format!("\"{text}\""),
        Kind::List => {
            let parts: Vec<String> = super::values::list(text).map(|p| format!("\"{p}\"")).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}

/// `packaging/watchfire.toml`: every option with its default, commented out.
pub fn example_file() -> String {
    let mut out = String::from(
        "# Settings of Watchfire. Every line that is commented out shows the default, or an example where there is none.\n\
         # Flags win over environment variables (WATCHFIRE_...), and those over this file.\n\
         # `watchfire check --config FILE` names every mistake with its line.\n",
    );
    let mut section = "";
    for option in OPTIONS {
        let (head, name) = option.key.split_once('.').unwrap_or(("", option.key));
        if head != section {
            let _ = write!(out, "\n[{head}]\n");
            section = head;
        } else {
            out.push('\n');
        }
        comment(&mut out, option.help);
        let _ = writeln!(
            out,
            "#{name} = {}",
            toml_value(option.kind, option.default.filter(|d| !d.is_empty()).unwrap_or(option.example))
        );
    }
    out.push_str("\n# Per connector: what is set here is fixed, the pages only show it. The name is the one in the webhook URL.\n");
    out.push_str("#[connectors.jenkins]\n");
    for option in CONNECTOR_OPTIONS {
        out.push('\n');
        comment(&mut out, option.help);
        let _ = writeln!(out, "#{} = {}", option.key, toml_value(option.kind, option.example));
    }
    out.push_str(
        "\n# A source of your own, with the name that stands in its webhook URL: expressions of Jinja say where in a body\n\
         # the fields of an alert stand; `item` is one alert, `body` the whole. What is left out is found as for the\n\
         # generic connector.\n#[sources.batch-jobs]\n",
    );
    for option in SOURCE_OPTIONS {
        out.push('\n');
        comment(&mut out, option.help);
        let _ = writeln!(out, "#{} = {}", option.key, toml_value(option.kind, option.example));
    }
    out
}

fn comment(out: &mut String, help: &str) {
    let mut line = String::from("#");
    for word in help.split_whitespace() {
        if line.len() + word.len() + 1 > 110 {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// The reference of all options as a Markdown table.
pub fn reference_table() -> String {
    let mut out = String::from("| Key in the file | Flag | Environment | Default | |\n|---|---|---|---|---|\n");
    for o in OPTIONS {
        let flag = match o.kind {
            Kind::Secret => "none, arguments are public".to_owned(),
            _ => format!("`--{} {}`", flag_name(o.key), o.placeholder),
        };
        let default = o.default.filter(|d| !d.is_empty()).map(|d| format!("`{d}`")).unwrap_or_default();
        row(&mut out, o.key, &flag, &env_name(o.key), &default, o.help);
    }
    for o in CONNECTOR_OPTIONS {
        let key = format!("connectors.<platform>.{}", o.key);
        let flag = format!("`--connectors-<platform>-{} {}`", flag_name(o.key), o.placeholder);
        row(
            &mut out,
            &key,
            &flag,
            &format!("WATCHFIRE_CONNECTORS_<PLATFORM>_{}", o.key.to_ascii_uppercase()),
            "",
            o.help,
        );
    }
    for o in SOURCE_OPTIONS {
        row(&mut out, &format!("sources.<name>.{}", o.key), "in the file only", "", "", o.help);
    }
    out
}

fn row(out: &mut String, key: &str, flag: &str, env: &str, default: &str, help: &str) {
    let env = if env.is_empty() { String::new() } else { format!("`{env}`") };
    let _ = writeln!(out, "| `{key}` | {flag} | {env} | {default} | {} |", help.replace('|', "\\|"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> String {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    }

    // Both are checked in, so that they can be read without building. After a change of the list, run the test with
    // UPDATE_DOCUMENTS=1 to write them.
    fn check(name: &str, now: &str, want: &str) {
        if now != want && std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name), want).unwrap();
            return;
        }
        assert!(now == want, "{name} is not what the list of options says; write it anew with UPDATE_DOCUMENTS=1");
    }

    #[test]
    fn example_file_is_current() {
        check("packaging/watchfire.toml", &file("packaging/watchfire.toml"), &example_file());
    }

    #[test]
    fn reference_in_the_readme_is_current() {
        let (start, end) = ("<!-- options -->\n", "<!-- /options -->");
        let readme = file("README.md");
        let (before, rest) = readme.split_once(start).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        check("README.md", &readme, &format!("{before}{start}\n{}\n{end}{after}", reference_table()));
    }
}
