//! Arguments as `--name value` pairs: enough for programs that only a script calls.

use std::str::FromStr;

/// The value of `--name`, else `default`. A value that cannot be read ends the program with a sentence.
pub fn arg<T: FromStr>(name: &str, default: T) -> T {
    let flag = format!("--{name}");
    let all: Vec<String> = std::env::args().collect();
    let Some(at) = all.iter().position(|a| *a == flag) else { return default };
    let Some(text) = all.get(at + 1) else { quit(&format!("{flag} needs a value")) };
    text.parse().unwrap_or_else(|_| quit(&format!("`{text}` is no value for {flag}")))
}

/// The value of `--name` as text, empty when it is left out.
pub fn text(name: &str) -> String {
    arg(name, String::new())
}

/// Ends the program with a sentence.
pub fn quit(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}
