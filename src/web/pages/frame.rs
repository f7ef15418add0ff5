//! What stands around every page: rail, beacon, title, theme.

use askama::Template;

use super::ui;
use crate::{
    model::*,
    store::{Overview, StoreError, View},
    web::saved_views::Kept,
};

/// The figures that the rail, the title and the beacon show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Open incidents.
    pub open: u64,
    /// Open and critical.
    pub critical: u64,
    /// Open and nobody's.
    pub unowned: u64,
}

impl From<&Overview> for Counts {
    fn from(o: &Overview) -> Self {
        Self { open: o.open, critical: o.critical, unowned: o.unowned }
    }
}

impl Counts {
    /// `(2) 7 open`: first the number that nobody has taken.
    pub fn headline(self) -> String {
        let open = match self.open {
            0 => "All quiet".to_owned(),
            n => format!("{} open", ui::count(n)),
        };
        if self.unowned > 0 { format!("({}) {open}", ui::count(self.unowned)) } else { open }
    }

    /// The number beside "Incidents"; nothing when there is none.
    pub fn badge(self) -> String {
        match self.open {
            0 => String::new(),
            1..=99 => self.open.to_string(),
            _ => "99+".to_owned(),
        }
    }

    /// The favicon's asset.
    pub fn favicon(self) -> &'static str {
        match (self.critical, self.open) {
            (0, 0) => "favicon-quiet.svg",
            (0, _) => "favicon-open.svg",
            _ => "favicon-critical.svg",
        }
    }

    /// The fire on the hill.
    pub fn beacon(self) -> ui::Markup {
        let (art, words) = match (self.critical, self.open) {
            (0, 0) => ("beacon-quiet", "All quiet".to_owned()),
            (0, n) => ("beacon-open", format!("{} open", ui::count(n))),
            (n, _) => ("beacon-critical", format!("{} critical burning", ui::count(n))),
        };
        ui::Markup::of(&Beacon { art, words })
    }
}

#[derive(Template)]
#[template(path = "fragments/beacon.html")]
struct Beacon {
    art: &'static str,
    words: String,
}

/// What the reader has chosen for this browser, from cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefs {
    /// `light` or `dark`; the system's otherwise.
    pub theme: Option<&'static str>,
    /// Single keys are off.
    pub keys_off: bool,
    /// Compact rows.
    pub compact: bool,
    /// The name of the zone that times are said in; none is UTC.
    pub zone: Option<String>,
    /// What the desktop is told of: `critical` or `all`; none is nothing.
    pub notify: Option<&'static str>,
    /// With a sound: `once`, or `until` somebody acknowledges.
    pub sound: Option<&'static str>,
    /// What is shown is made up.
    pub demo: bool,
}

/// The header by which pages know that they are those of a demo; set by us (`layers`).
pub const DEMO_HEADER: &str = "x-watchfire-demo";

impl Prefs {
    /// From the `Cookie` header. Unknown values are as if not set.
    pub fn of(headers: &http::HeaderMap) -> Self {
        let theme = match cookie(headers, "theme") {
            Some("light") => Some("light"),
            Some("dark") => Some("dark"),
            _ => None,
        };
        Self {
            theme,
            keys_off: cookie(headers, "keys") == Some("off"),
            compact: cookie(headers, "density") == Some("compact"),
            zone: cookie(headers, "tz").filter(|name| super::time::zone(name).is_some()).map(str::to_owned),
            notify: one_of(cookie(headers, "notify"), &["critical", "all"]),
            sound: one_of(cookie(headers, "sound"), &["once", "until"]),
            demo: headers.contains_key(DEMO_HEADER),
        }
    }
}

fn one_of(value: Option<&str>, words: &[&'static str]) -> Option<&'static str> {
    words.iter().find(|word| Some(**word) == value).copied()
}

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h http::HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(n, v)| (n == name).then_some(v))
}

/// A section of the product that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `/incidents`
    Incidents,
    /// `/alerts`
    Alerts,
    /// `/connectors` and `/deliveries`
    Connectors,
    /// `/topology`
    Services,
    /// `/insights`
    Insights,
    /// `/postmortems`
    Postmortems,
    /// `/settings`
    Settings,
    /// Outside of them: sign-in, set-up, errors.
    None,
}

/// One entry of the rail.
#[derive(Clone, Copy, Debug)]
pub struct NavItem {
    /// Where it leads.
    pub href: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Its word.
    pub name: &'static str,
    /// The reader is there.
    pub current: bool,
    /// Shows the number of open incidents.
    pub counts: bool,
}

/// The frame of one page.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The page's own title.
    pub title: String,
    /// Where the reader is.
    pub section: Section,
    /// Path and query, to come back to after a form of the frame.
    pub path: String,
    /// Who reads.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// The server's clock.
    pub now: Time,
    /// Change sequence that the page shows, to go on from live; none on pages without live parts.
    pub live: Option<u64>,
    /// For rail, title and beacon.
    pub counts: Counts,
    /// `light` or `dark`.
    pub theme: Option<&'static str>,
    /// Single keys work.
    pub keys: bool,
    /// The zone that times are said in, where it is not UTC.
    pub zone: Option<String>,
    /// What the desktop is told of.
    pub notify: Option<&'static str>,
    /// With a sound.
    pub sound: Option<&'static str>,
    /// When the session ends.
    pub ends: Option<Time>,
    /// Class of the body.
    pub density: &'static str,
    /// The outcome of what was just done.
    pub said: Option<String>,
    /// How that is taken back.
    pub undo: Option<u64>,
    /// Saved views of the reader, for the rail.
    pub views: Vec<Kept>,
    /// What is shown is made up.
    pub demo: bool,
}

impl Frame {
    /// A frame without anybody signed in.
    pub fn bare(title: &str, now: Time, prefs: &Prefs) -> Self {
        Self {
            title: title.to_owned(),
            section: Section::None,
            path: "/".to_owned(),
            user: String::new(),
            role: Role::Viewer,
            now,
            live: None,
            counts: Counts::default(),
            theme: prefs.theme,
            keys: !prefs.keys_off,
            zone: prefs.zone.clone(),
            notify: prefs.notify,
            sound: prefs.sound,
            ends: None,
            density: "",
            said: None,
            undo: None,
            views: Vec::new(),
            demo: prefs.demo,
        }
    }

    /// `(2) 7 open · Watchfire` on the list, the page's own title elsewhere, always with the number first.
    pub fn full_title(&self) -> String {
        let title = ui::plain(&self.title);
        match self.section {
            Section::None => format!("{title} · Watchfire"),
            Section::Incidents if self.title.is_empty() => format!("{} · Watchfire", self.counts.headline()),
            _ if self.counts.unowned > 0 => format!("({}) {title} · Watchfire", ui::count(self.counts.unowned)),
            _ => format!("{title} · Watchfire"),
        }
    }

    /// The rail, but for its views and the settings below them.
    pub fn rail(&self) -> [NavItem; 7] {
        let silences = self.path.starts_with("/silences");
        let alerts = self.item(Section::Alerts, "/alerts", "bell", "Alerts");
        let pause = NavItem { href: "/silences", icon: "pause", name: "Silences", current: silences, counts: false };
        [
            self.item(Section::Incidents, "/incidents", "flame", "Incidents"),
            NavItem { current: alerts.current && !silences, ..alerts },
            pause,
            self.item(Section::Services, "/topology", "graph", "Services"),
            self.item(Section::Connectors, "/connectors", "plug", "Connectors"),
            self.item(Section::Insights, "/insights", "chart", "Insights"),
            self.item(Section::Postmortems, "/postmortems", "doc", "Postmortems"),
        ]
    }

    /// The bar of narrow screens. What is not in it is linked from the page that it goes with.
    pub fn nav(&self) -> [NavItem; 5] {
        [
            self.item(Section::Incidents, "/incidents", "flame", "Incidents"),
            self.item(Section::Alerts, "/alerts", "bell", "Alerts"),
            self.item(Section::Connectors, "/connectors", "plug", "Connectors"),
            self.item(Section::Insights, "/insights", "chart", "Insights"),
            self.settings(),
        ]
    }

    /// The last entry of both.
    pub fn settings(&self) -> NavItem {
        let settings = self.item(Section::Settings, "/settings", "gear", "Settings");
        NavItem { current: settings.current && !self.on_call().current, ..settings }
    }

    /// Beside the settings in the rail.
    pub fn on_call(&self) -> NavItem {
        let current = self.path.starts_with("/on-call");
        NavItem { href: "/on-call", icon: "user", name: "On call", current, counts: false }
    }

    fn item(&self, section: Section, href: &'static str, icon: &'static str, name: &'static str) -> NavItem {
        let counts = section == Section::Incidents;
        NavItem { href, icon, name, current: self.section == section, counts }
    }

    /// Whether the page shows this saved view.
    pub fn shows(&self, view: &Kept) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.strip_prefix("view=") == Some(&view.id.to_string()))
    }

    /// What the sound button sets: on, or off again.
    pub fn next_sound(&self) -> &'static str {
        if self.sound.is_some() { "" } else { "once" }
    }

    /// The fire on the hill.
    pub fn beacon(&self) -> ui::Markup {
        self.counts.beacon()
    }

    /// What the theme button sets: system, light, dark in turn.
    pub fn next_theme(&self) -> &'static str {
        match self.theme {
            None => "light",
            Some("light") => "dark",
            Some(_) => "system",
        }
    }

    /// The theme in a word.
    pub fn theme_name(&self) -> &'static str {
        self.theme.unwrap_or("system")
    }

    /// The server's clock, `03:14:02`.
    pub fn clock(&self) -> String {
        ui::clock(self.now)
    }

    /// The short name of the zone that it is in, `UTC`.
    pub fn zone_name(&self) -> String {
        super::time::zone_name(self.now)
    }

    /// May act on incidents.
    pub fn may_act(&self) -> bool {
        self.role >= Role::Responder
    }

    /// May set up.
    pub fn may_admin(&self) -> bool {
        self.role >= Role::Admin
    }
}

/// What every page reads from the snapshot for its frame.
pub fn counts_and_seq(view: &View, now: Time) -> Result<(Overview, u64), StoreError> {
    let overview = view.overview(now)?;
    let (_, last) = view.change_range()?;
    Ok((overview, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_starts_with_what_nobody_has_taken() {
        for (open, critical, unowned, want, icon) in [
            (7, 2, 2, "(2) 7 open", "favicon-critical.svg"),
            (7, 0, 0, "7 open", "favicon-open.svg"),
            (0, 0, 0, "All quiet", "favicon-quiet.svg"),
        ] {
            let c = Counts { open, critical, unowned };
            assert_eq!((c.headline().as_str(), c.favicon()), (want, icon));
        }
        assert_eq!(Counts { open: 250, ..Counts::default() }.badge(), "99+");
        assert!(Counts { open: 7, critical: 2, unowned: 0 }.beacon().to_string().contains("2 critical burning"));
    }

    #[test]
    fn choices_come_from_cookies_and_bad_ones_are_ignored() {
        let mut h = http::HeaderMap::new();
        h.insert(http::header::COOKIE, "a=b; theme=dark; keys=off; density=\"><script>".parse().unwrap());
        let p = Prefs::of(&h);
        assert_eq!(p, Prefs { theme: Some("dark"), keys_off: true, ..Prefs::default() });
    }
}
