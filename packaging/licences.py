"""Prints the licences of every crate that is linked into the program: names first, then the texts, each text once.

    python3 packaging/licences.py TARGET
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys


def linked(target: str) -> set[tuple[str, str]]:
    """Name and version of the crates in the program; build scripts, macros and tests are not in it."""
    command = ["cargo", "tree", "--locked", "--edges", "no-build,no-dev,no-proc-macro", "--target", target]
    lines = subprocess.run([*command, "--prefix", "none", "--format", "{p}"], check=True, capture_output=True, text=True)
    found = (re.match(r"(\S+) v(\S+)", line) for line in lines.stdout.splitlines())
    return {(m[1], m[2]) for m in found if m}


def texts(folder: pathlib.Path) -> list[str]:
    """What the crate's folder holds of licences and notices."""
    named = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
    files = sorted(f for f in folder.iterdir() if f.is_file() and named.match(f.name))
    return [f.read_text(encoding="utf-8", errors="replace").strip() for f in files]


def main() -> None:
    target = sys.argv[1]
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    wanted = linked(target)
    crates = sorted(
        (p for p in metadata["packages"] if (p["name"], p["version"]) in wanted and p["source"]),
        key=lambda p: (p["name"], p["version"]),
    )
    if len(crates) < len(wanted) - 1:
        sys.exit("licences.py: cargo's two lists of crates do not agree")

    once: dict[str, tuple[str, list[str]]] = {}
    print("The Rust crates that are linked into Watchfire, with their licences. The texts follow.\n")
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        authors = ", ".join(re.sub(r"\s*<.*?>", "", a) for a in crate["authors"])
        print(f"{name}: {crate['license'] or 'see its text below'}" + (f" ({authors})" if authors else ""))
        for text in texts(pathlib.Path(crate["manifest_path"]).parent):
            key = hashlib.sha256(re.sub(r"\s+", " ", text).encode()).hexdigest()
            once.setdefault(key, (text, []))[1].append(name)
    print("Rust's standard library: MIT OR Apache-2.0 (The Rust Project contributors)")
    print("LLVM's libunwind: Apache-2.0 WITH LLVM-exception (The LLVM Project contributors)")
    for text, names in once.values():
        print("\n" + "=" * 100 + "\n" + ", ".join(sorted(set(names))) + "\n" + "-" * 100 + "\n")
        print(text)


main()
