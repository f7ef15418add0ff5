//! The scripts as one: modules are kept in files of their own and served together, so that a page fetches one file and it
//! compresses as one. Each module becomes a function that gives what it exports; its comments stay at home.
//!
//! Of the language's imports and exports only the forms that these files use are known: `import './a.js'`,
//! `import { a, b as c } from './a.js'`, and `export` before `const`, `class`, `function` or `async function`. A test bundles
//! the files as they are, so that another form is noticed before it is served.

use std::collections::BTreeMap;

/// Why the files cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbundled {
    /// A file that is imported.
    #[error("{by} imports {name}, which is not there")]
    Missing {
        /// Who wants it.
        by: String,
        /// What it wants.
        name: String,
    },
    /// Two need each other.
    #[error("{0} imports itself by way of others")]
    Loop(String),
    /// A line.
    #[error("{file}: not understood: {line}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: String,
    },
}

/// A module, taken apart.
#[derive(Debug, Default)]
struct Module {
    // `const { a, b: c } = m_util;`, for each that it imports.
    wants: Vec<(String, String)>,
    body: String,
    exports: Vec<String>,
}

/// One script of these files, by their names without folder; `first` is the one that pages name.
///
/// # Errors
/// A form that is not known, a file that is not there, or a loop.
pub fn bundle(files: &BTreeMap<String, String>, first: &str) -> Result<String, Unbundled> {
    let mut order = Vec::new();
    let mut modules = BTreeMap::new();
    visit(files, first, first, &mut Vec::new(), &mut order, &mut modules)?;
    let mut out = String::from("'use strict';\n");
    for name in order {
        let Some(module) = modules.get(&name) else { continue };
        out.push_str(&format!("const {} = (() => {{\n", variable(&name)));
        for (from, names) in module.wants.iter().filter(|(_, names)| !names.is_empty()) {
            out.push_str(&format!("const {{ {names} }} = {};\n", variable(from)));
        }
        out.push_str(&module.body);
        out.push_str(&format!("return {{ {} }};\n}})();\n", module.exports.join(", ")));
    }
    Ok(out)
}

/// Those that a file imports come before it.
fn visit(
    files: &BTreeMap<String, String>,
    name: &str,
    by: &str,
    open: &mut Vec<String>,
    order: &mut Vec<String>,
    modules: &mut BTreeMap<String, Module>,
) -> Result<(), Unbundled> {
    if order.iter().any(|n| n == name) {
        return Ok(());
    }
    if open.iter().any(|n| n == name) {
        return Err(Unbundled::Loop(name.to_owned()));
    }
    let missing = || Unbundled::Missing { by: by.to_owned(), name: name.to_owned() };
    let module = read(name, files.get(name).ok_or_else(missing)?)?;
    open.push(name.to_owned());
    for (from, _) in &module.wants {
        visit(files, from, name, open, order, modules)?;
    }
    open.pop();
    order.push(name.to_owned());
    modules.insert(name.to_owned(), module);
    Ok(())
}

fn variable(name: &str) -> String {
    let plain: String =
        name.trim_end_matches(".js").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("m_{plain}")
}

fn read(file: &str, text: &str) -> Result<Module, Unbundled> {
    let mut module = Module::default();
    for line in text.lines() {
        let wrong = || Unbundled::Line { file: file.to_owned(), line: line.to_owned() };
        // Space at the beginning and comments on lines of their own say nothing to a browser.
        let code = line.trim();
        if code.is_empty() || code.starts_with("//") {
            continue;
        }
        if let Some(rest) = code.strip_prefix("import ") {
            let (names, from) = match rest.split_once(" from ") {
                Some((names, from)) => (renamed(names).ok_or_else(wrong)?, from),
                None => (String::new(), rest),
            };
            let from = from.trim_end_matches(';').trim().trim_matches(['\'', '"']);
            module.wants.push((from.strip_prefix("./").ok_or_else(wrong)?.to_owned(), names));
            continue;
        }
        let code = match code.strip_prefix("export ") {
            Some(rest) => {
                module.exports.push(declared(rest).ok_or_else(wrong)?);
                rest
            }
            None => code,
        };
        module.body.push_str(code);
        module.body.push('\n');
    }
    Ok(module)
}

/// `{ a, b as c }` as what takes them out of an object.
fn renamed(names: &str) -> Option<String> {
    let inner = names.trim().strip_prefix('{')?.strip_suffix('}')?;
    let each = inner.split(',').map(str::trim).filter(|n| !n.is_empty());
    Some(each.map(|n| n.replace(" as ", ": ")).collect::<Vec<_>>().join(", "))
}

/// The name that is declared after `export`.
fn declared(rest: &str) -> Option<String> {
    let known = ["const ", "async function ", "function ", "class "];
    let after = known.iter().find_map(|k| rest.strip_prefix(k))?;
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()
    }

    #[test]
    fn modules_come_after_what_they_import_and_say_nothing_else() {
        let all = files(&[
            ("app.js", "// The whole.\nimport './b.js';\nimport { $, two as deux } from './a.js';\n  $(deux);\n"),
            ("b.js", "import { $ } from './a.js';\n$(1);\n"),
            ("a.js", "export const $ = (x) => x;\nexport async function two() {\n  // why\n  return 2; // 'two'\n}\n"),
        ]);
        let want = "'use strict';\nconst m_a = (() => {\nconst $ = (x) => x;\nasync function two() {\nreturn 2; // 'two'\n}\nreturn { $, two };\n})();\n\
            const m_b = (() => {\nconst { $ } = m_a;\n$(1);\nreturn {  };\n})();\n\
            const m_app = (() => {\nconst { $, two: deux } = m_a;\n$(deux);\nreturn {  };\n})();\n";
        assert_eq!(bundle(&all, "app.js").unwrap(), want);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let check = |all: &[(&str, &str)], part: &str| {
            let wrong = bundle(&files(all), "app.js").unwrap_err().to_string();
            assert!(wrong.contains(part), "{wrong}");
        };
        check(&[("app.js", "import './gone.js';")], "app.js imports gone.js, which is not there");
        check(&[("app.js", "import './b.js';"), ("b.js", "import './app.js';")], "app.js imports itself");
        check(&[("app.js", "import all from './b.js';")], "not understood: import all");
        check(&[("app.js", "export { a };")], "not understood: export { a }");
        check(&[("app.js", "export default 1;")], "not understood");
        check(&[("app.js", "import { a } from 'https://elsewhere/';")], "not understood");
    }
}
