//! Postmortems: drafts, what people save, earlier versions taken back, publishing.

use std::collections::BTreeMap;

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError,
        tx::{Tx, get, put},
    },
};

const TITLE: usize = 300;
const NAME: usize = 255;
const ACTION: usize = 500;
const ACTIONS: usize = 100;
/// Bytes of one section.
const SECTION: usize = 32 * 1024;
/// Bytes of a whole.
const WHOLE: usize = 128 * 1024;
/// Versions kept of one; the oldest go first.
const VERSIONS: usize = 200;

/// What a person changes at once; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PostmortemEdit {
    /// 1 to 300 characters.
    pub title: Option<String>,
    /// Sections in Markdown.
    pub sections: BTreeMap<PostmortemSection, String>,
    /// All actions.
    pub actions: Option<Vec<PostmortemAction>>,
}

/// How strictly a change is held against what others saved meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Nobody may have saved anything.
    Whole,
    /// Nobody may have saved the same parts.
    Parts,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// It is written, or it said nothing new.
    Done(Box<Postmortem>),
    /// Somebody saved meanwhile, and nothing was written: as it stands now.
    Overtaken(Box<Postmortem>),
}

impl Store {
    /// Begins a postmortem with a draft, or stores a draft that was made again. That takes the place of the text only while
    /// that is itself a draft nobody has touched; otherwise it is a version to compare with. The postmortem, and the draft's
    /// version.
    pub async fn draft_postmortem(
        &self,
        id: IncidentId,
        text: PostmortemText,
        actor: Actor,
    ) -> Result<(Postmortem, u64), CommandError> {
        self.command(move |tx| drafted(tx, id, text, &actor)).await
    }

    /// Saves what a person wrote, as a new version. `base` is the version that they had before them; none begins a
    /// postmortem.
    pub async fn save_postmortem(
        &self,
        id: IncidentId,
        base: Option<u64>,
        edit: PostmortemEdit,
        against: Against,
        actor: Actor,
    ) -> Result<Saved, CommandError> {
        let edit = checked(edit)?;
        self.command(move |tx| save(tx, id, base, edit, against, &actor)).await
    }

    /// Makes an earlier version, or one section of it, the text again: as a new version.
    pub async fn restore_postmortem(
        &self,
        id: IncidentId,
        version: u64,
        section: Option<PostmortemSection>,
        actor: Actor,
    ) -> Result<Postmortem, CommandError> {
        self.command(move |tx| restore(tx, id, version, section, &actor)).await
    }

    /// Publishes it, or makes it a draft again. Only what is resolved can be published.
    pub async fn publish_postmortem(
        &self,
        id: IncidentId,
        publish: bool,
        actor: Actor,
    ) -> Result<Postmortem, CommandError> {
        self.command(move |tx| set_published(tx, id, publish, &actor)).await
    }
}

fn invalid(field: impl Into<String>, detail: String) -> CommandError {
    CommandError::Invalid { field: field.into(), detail }
}

/// One line without what would act unseen in a list.
fn line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

fn checked(mut edit: PostmortemEdit) -> Result<PostmortemEdit, CommandError> {
    if let Some(title) = &mut edit.title {
        *title = line(title);
        let length = title.chars().count();
        if length == 0 || length > TITLE {
            return Err(invalid("/title", format!("a title has 1 to {TITLE} characters; this one has {length}")));
        }
    }
    for (section, text) in &mut edit.sections {
        *text = text.replace("\r\n", "\n").replace('\r', "\n").trim_end().to_owned();
        if text.len() > SECTION {
            let detail = format!("{} has {} bytes; {SECTION} are allowed", section.title(), text.len());
            return Err(invalid(format!("/sections/{section}"), detail));
        }
    }
    let Some(actions) = &mut edit.actions else { return Ok(edit) };
    if actions.len() > ACTIONS {
        return Err(invalid("/actions", format!("there are {} actions; {ACTIONS} are allowed", actions.len())));
    }
    for (n, action) in actions.iter_mut().enumerate() {
        action.text = line(&action.text);
        action.owner = action.owner.as_deref().map(line).filter(|o| !o.is_empty());
        let length = action.text.chars().count();
        if length == 0 || length > ACTION {
            let detail = format!("an action has 1 to {ACTION} characters; this one has {length}");
            return Err(invalid(format!("/actions/{n}/text"), detail));
        }
        if action.owner.as_ref().is_some_and(|o| o.chars().count() > NAME) {
            return Err(invalid(format!("/actions/{n}/owner"), format!("a name has at most {NAME} characters")));
        }
    }
    Ok(edit)
}

/// The incident, which must not be part of another.
fn incident<'a>(tx: &'a mut Tx<'_>, id: IncidentId) -> Result<&'a mut Incident, CommandError> {
    let incident = tx.asked_incident(id)?;
    if incident.status == IncidentStatus::Merged {
        let into = incident.merged_into.map_or_else(String::new, |i| format!(" into {i}"));
        return Err(CommandError::Conflict {
            detail: format!("{id} is merged{into}; the postmortem is written there"),
            allowed: Vec::new(),
        });
    }
    Ok(incident)
}

fn existing(tx: &mut Tx<'_>, id: IncidentId) -> Result<Postmortem, CommandError> {
    incident(tx, id)?;
    get(&tx.postmortems, id.0)?.ok_or_else(|| CommandError::NotFound(format!("postmortem of {id}")))
}

fn version_of(tx: &Tx<'_>, id: IncidentId, n: u64) -> Result<Option<PostmortemVersion>, StoreError> {
    get(&tx.postmortem_versions, (id.0, n))
}

/// Writes the next version of a postmortem; `text` becomes that of the postmortem itself, or stands beside it.
fn write(
    tx: &mut Tx<'_>,
    postmortem: &mut Postmortem,
    version: PostmortemVersion,
    becomes_text: bool,
) -> Result<(), StoreError> {
    let id = postmortem.incident;
    postmortem.last_version = version.version;
    if becomes_text {
        postmortem.version = version.version;
        postmortem.updated_at = version.at;
        postmortem.updated_by.clone_from(&version.by);
        postmortem.text = version.text.clone();
    }
    put(&mut tx.postmortem_versions, (id.0, version.version), &version)?;
    let kept: Vec<u64> = tx
        .postmortem_versions
        .range((id.0, 0)..=(id.0, u64::MAX))?
        .map(|row| Ok(row?.0.value().1))
        .collect::<Result<_, StoreError>>()?;
    let surplus = kept.len().saturating_sub(VERSIONS);
    for n in kept.into_iter().filter(|n| *n != postmortem.version).take(surplus) {
        tx.postmortem_versions.remove((id.0, n))?;
    }
    keep(tx, postmortem)
}

/// Writes the postmortem itself, and says so at its incident.
fn keep(tx: &mut Tx<'_>, postmortem: &Postmortem) -> Result<(), StoreError> {
    let id = postmortem.incident;
    put(&mut tx.postmortems, id.0, postmortem)?;
    tx.known_incident(id)?.postmortem = Some(postmortem.state);
    tx.changed(id, IncidentChange::Postmortem);
    Ok(())
}

fn begin(tx: &Tx<'_>, id: IncidentId, by: String, text: PostmortemText) -> Postmortem {
    Postmortem {
        incident: id,
        state: PostmortemState::Draft,
        version: 0,
        last_version: 0,
        created_at: tx.now,
        updated_at: tx.now,
        updated_by: by,
        published_at: None,
        published_by: None,
        text,
    }
}

fn drafted(
    tx: &mut Tx<'_>,
    id: IncidentId,
    text: PostmortemText,
    actor: &Actor,
) -> Result<(Postmortem, u64), CommandError> {
    incident(tx, id)?;
    let now = tx.now;
    let version = |version, what: &str, text| PostmortemVersion {
        version,
        at: now,
        by: actor.to_string(),
        kind: VersionKind::Draft,
        what: what.to_owned(),
        text,
    };
    let Some(mut postmortem) = get::<_, Postmortem>(&tx.postmortems, id.0)? else {
        let mut postmortem = begin(tx, id, actor.to_string(), text.clone());
        write(tx, &mut postmortem, version(1, "First draft from the timeline", text), true)?;
        tx.note(id, TimelineKind::Postmortem, actor, "A postmortem was drafted.", json!({ "version": 1 }))?;
        tx.audit(actor, "postmortem.draft", id.to_string(), json!({ "version": 1 }))?;
        return Ok((postmortem, 1));
    };
    let last = version_of(tx, id, postmortem.last_version)?;
    if last.is_some_and(|l| l.kind == VersionKind::Draft && l.text == text) {
        let last = postmortem.last_version;
        return Ok((postmortem, last));
    }
    let current = version_of(tx, id, postmortem.version)?;
    let untouched = current.is_some_and(|c| c.kind == VersionKind::Draft);
    let replaces = untouched && postmortem.state == PostmortemState::Draft;
    let n = postmortem.last_version + 1;
    write(tx, &mut postmortem, version(n, "Drafted again from the timeline", text), replaces)?;
    let told = if replaces {
        "The postmortem was drafted again."
    } else {
        "The postmortem was drafted again, beside what people wrote."
    };
    tx.note(id, TimelineKind::Postmortem, actor, told, json!({ "version": n }))?;
    tx.audit(actor, "postmortem.draft", id.to_string(), json!({ "version": n, "beside": !replaces }))?;
    Ok((postmortem, n))
}

/// The parts that an edit changes in a text, in order.
fn touched(text: &PostmortemText, edit: &PostmortemEdit) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if edit.title.as_ref().is_some_and(|t| *t != text.title) {
        parts.push("Title");
    }
    let sections = edit.sections.iter().filter(|(s, t)| text.section(**s) != t.as_str());
    parts.extend(sections.map(|(s, _)| s.title()));
    if edit.actions.as_ref().is_some_and(|a| *a != text.actions) {
        parts.push("Actions");
    }
    parts
}

/// A text with an edit in it.
fn edited(mut text: PostmortemText, edit: PostmortemEdit) -> PostmortemText {
    if let Some(title) = edit.title {
        text.title = title;
    }
    text.sections.extend(edit.sections);
    if let Some(actions) = edit.actions {
        text.actions = actions;
    }
    text
}

fn save(
    tx: &mut Tx<'_>,
    id: IncidentId,
    base: Option<u64>,
    edit: PostmortemEdit,
    against: Against,
    actor: &Actor,
) -> Result<Saved, CommandError> {
    let title = incident(tx, id)?.title.clone();
    let stored: Option<Postmortem> = get(&tx.postmortems, id.0)?;
    let mut postmortem = match (stored, base.unwrap_or(0)) {
        (None, 0) => begin(tx, id, actor.to_string(), PostmortemText { title: line(&title), ..Default::default() }),
        (None, _) => return Err(CommandError::NotFound(format!("postmortem of {id}"))),
        (Some(p), n) if n == p.version => p,
        (Some(p), _) if against == Against::Whole => return Ok(Saved::Overtaken(Box::new(p))),
        (Some(p), n) => {
            // Of what this person changes, nothing may be other than what they had before them.
            let seen = version_of(tx, id, n)?.map(|v| v.text);
            let mine = |old: &PostmortemText| touched(&p.text, &edit).into_iter().all(|part| same(part, old, &p.text));
            match seen.is_some_and(|old| mine(&old)) {
                true => p,
                false => return Ok(Saved::Overtaken(Box::new(p))),
            }
        }
    };
    let parts = touched(&postmortem.text, &edit);
    let begun = postmortem.last_version == 0;
    if parts.is_empty() && !begun {
        return Ok(Saved::Done(Box::new(postmortem)));
    }
    let text = edited(postmortem.text.clone(), edit);
    if text.size() > WHOLE {
        return Err(invalid("/sections", format!("all of it has {} bytes; {WHOLE} are allowed", text.size())));
    }
    let what = if parts.is_empty() { "begun".to_owned() } else { format!("changed {}", parts.join(", ")) };
    let version = next(&postmortem, tx.now, actor, VersionKind::Edit, what.clone(), text);
    let n = version.version;
    write(tx, &mut postmortem, version, true)?;
    if begun {
        tx.note(id, TimelineKind::Postmortem, actor, "A postmortem was begun.", json!({ "version": n }))?;
    }
    tx.audit(actor, "postmortem.save", id.to_string(), json!({ "version": n, "what": what }))?;
    Ok(Saved::Done(Box::new(postmortem)))
}

/// Whether a part says the same in two texts.
fn same(part: &str, a: &PostmortemText, b: &PostmortemText) -> bool {
    match PostmortemSection::ALL.iter().find(|s| s.title() == part) {
        Some(section) => a.section(*section) == b.section(*section),
        None if part == "Title" => a.title == b.title,
        None => a.actions == b.actions,
    }
}

fn next(
    postmortem: &Postmortem,
    at: Time,
    actor: &Actor,
    kind: VersionKind,
    what: String,
    text: PostmortemText,
) -> PostmortemVersion {
    PostmortemVersion { version: postmortem.last_version + 1, at, by: actor.to_string(), kind, what, text }
}

fn restore(
    tx: &mut Tx<'_>,
    id: IncidentId,
    version: u64,
    section: Option<PostmortemSection>,
    actor: &Actor,
) -> Result<Postmortem, CommandError> {
    let mut postmortem = existing(tx, id)?;
    let Some(old) = version_of(tx, id, version)? else {
        return Err(CommandError::NotFound(format!("version {version} of the postmortem of {id}")));
    };
    let (text, what) = match section {
        None => (old.text, format!("took back version {version}")),
        Some(section) => {
            let mut text = postmortem.text.clone();
            text.sections.insert(section, old.text.section(section).to_owned());
            (text, format!("took {} from version {version}", section.title()))
        }
    };
    if text == postmortem.text {
        return Ok(postmortem);
    }
    let next = next(&postmortem, tx.now, actor, VersionKind::Restore, what.clone(), text);
    let n = next.version;
    write(tx, &mut postmortem, next, true)?;
    tx.audit(actor, "postmortem.restore", id.to_string(), json!({ "version": n, "what": what }))?;
    Ok(postmortem)
}

fn set_published(tx: &mut Tx<'_>, id: IncidentId, publish: bool, actor: &Actor) -> Result<Postmortem, CommandError> {
    let mut postmortem = existing(tx, id)?;
    let status = incident(tx, id)?.status;
    if publish && status != IncidentStatus::Resolved {
        return Err(CommandError::Conflict {
            detail: format!("{id} is {status}; its postmortem can be published when it is resolved"),
            allowed: vec!["resolve".to_owned()],
        });
    }
    let state = if publish { PostmortemState::Published } else { PostmortemState::Draft };
    if postmortem.state == state {
        return Ok(postmortem);
    }
    postmortem.state = state;
    postmortem.published_at = publish.then_some(tx.now);
    postmortem.published_by = publish.then(|| actor.to_string());
    keep(tx, &postmortem)?;
    let (text, action) = match publish {
        true => ("The postmortem was published.", "postmortem.publish"),
        false => ("The postmortem is a draft again.", "postmortem.unpublish"),
    };
    let data = json!({ "version": postmortem.version });
    tx.note(id, TimelineKind::Postmortem, actor, text, data.clone())?;
    tx.audit(actor, action, id.to_string(), data)?;
    Ok(postmortem)
}
