//! Postmortems: what is saved, what two people save at once, versions, drafts beside what people wrote.

use std::collections::BTreeMap;

use super::{
    tests::{Fixture, firing, me},
    *,
};
use PostmortemSection::{Causes, Impact, Summary};

const ID: IncidentId = IncidentId(1);

fn kim() -> Actor {
    Actor::Person("kim".into())
}

fn text(summary: &str) -> PostmortemText {
    let sections = [(Summary, summary.to_owned()), (Causes, "unknown".to_owned())].into();
    PostmortemText { title: "It broke".into(), sections, actions: Vec::new() }
}

fn edit(parts: &[(PostmortemSection, &str)]) -> PostmortemEdit {
    let sections: BTreeMap<_, _> = parts.iter().map(|(s, t)| (*s, (*t).to_owned())).collect();
    PostmortemEdit { sections, ..PostmortemEdit::default() }
}

impl Fixture {
    async fn with_draft() -> Self {
        let f = Self::new();
        f.send("generic", vec![firing("a", Some("api"))]).await;
        f.store.draft_postmortem(ID, text("draft one"), me()).await.unwrap();
        f
    }

    async fn save(&self, base: u64, parts: &[(PostmortemSection, &str)], against: Against) -> Saved {
        self.store.save_postmortem(ID, Some(base), edit(parts), against, kim()).await.unwrap()
    }

    fn stands(&self) -> Postmortem {
        self.consistent();
        self.store.view().unwrap().postmortem(ID).unwrap().unwrap()
    }

    fn versions(&self) -> Vec<(u64, VersionKind, String)> {
        let all = self.store.view().unwrap().postmortem_versions(ID, None, 500).unwrap();
        all.into_iter().rev().map(|v| (v.version, v.kind, v.what)).collect()
    }
}

#[tokio::test]
async fn a_draft_made_again_takes_the_place_of_a_draft_and_never_of_what_people_wrote() {
    use VersionKind::{Draft, Edit};
    let f = Fixture::with_draft().await;
    let (same, version) = f.store.draft_postmortem(ID, text("draft one"), me()).await.unwrap();
    assert_eq!((same.version, version), (1, 1), "it says the same: no version of its own");
    let (second, version) = f.store.draft_postmortem(ID, text("draft two"), me()).await.unwrap();
    assert_eq!((second.version, version, second.text.section(Summary)), (2, 2, "draft two"));
    assert!(matches!(f.save(2, &[(Summary, "written by hand")], Against::Whole).await, Saved::Done(_)));
    let (third, version) = f.store.draft_postmortem(ID, text("draft three"), me()).await.unwrap();
    assert_eq!((third.version, version, third.text.section(Summary)), (3, 4, "written by hand"));
    // What stands is saved on, though the draft is later.
    assert!(matches!(f.save(3, &[(Summary, "by hand again")], Against::Whole).await, Saved::Done(_)));
    let now = f.stands();
    assert_eq!((now.version, now.updated_by.as_str()), (5, "kim"));
    let kinds: Vec<VersionKind> = f.versions().iter().map(|v| v.1).collect();
    assert_eq!(kinds, [Draft, Draft, Edit, Draft, Edit]);
    assert_eq!(f.versions()[2].2, "changed Summary");
    f.store.restore_postmortem(ID, 4, Some(Summary), me()).await.unwrap();
    assert_eq!(f.stands().text.section(Summary), "draft three", "a section of the draft can be taken");
    assert_eq!(f.incident(1).postmortem, Some(PostmortemState::Draft));
    assert!(f.incident(1).is_open(), "its status is its own");
}

#[tokio::test]
async fn who_saves_second_is_told() {
    // What the first saves, what the second saves on the same version, and whether that is done.
    for (first, second, whole, parts) in
        [(Summary, Summary, false, false), (Summary, Causes, false, true), (Impact, Summary, false, true)]
    {
        for (against, done) in [(Against::Whole, whole), (Against::Parts, parts)] {
            let f = Fixture::with_draft().await;
            assert!(matches!(f.save(1, &[(first, "mine")], against).await, Saved::Done(_)));
            let what = format!("{first} then {second}, {against:?}");
            match f.save(1, &[(second, "theirs")], against).await {
                Saved::Done(p) if done => {
                    assert_eq!((p.text.section(first), p.text.section(second)), ("mine", "theirs"), "{what}");
                }
                Saved::Overtaken(p) if !done => {
                    assert_eq!((p.version, p.text.section(first)), (2, "mine"), "{what}");
                    assert_eq!(f.stands(), *p, "{what}: nothing was written");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    let f = Fixture::with_draft().await;
    assert!(matches!(f.save(1, &[(Summary, "one")], Against::Parts).await, Saved::Done(_)));
    assert!(matches!(f.save(1, &[(Summary, "one")], Against::Parts).await, Saved::Done(_)), "both say the same");
    assert!(matches!(f.save(77, &[(Summary, "two")], Against::Parts).await, Saved::Overtaken(_)));
    assert_eq!(f.stands().version, 2);
}

#[tokio::test]
async fn a_postmortem_can_be_begun_by_hand_taken_back_and_published_when_it_is_over() {
    let f = Fixture::new();
    f.send("generic", vec![firing("a", Some("api"))]).await;
    let missing = f.store.save_postmortem(ID, Some(3), edit(&[(Summary, "x")]), Against::Whole, me()).await;
    assert!(matches!(missing, Err(CommandError::NotFound(_))), "{missing:?}");
    f.store.save_postmortem(ID, None, edit(&[(Summary, "first\r\n\r\nwords  ")]), Against::Whole, me()).await.unwrap();
    assert_eq!((f.stands().text.title.as_str(), f.stands().text.section(Summary)), ("title of a", "first\n\nwords"));
    let again = f.store.save_postmortem(ID, None, edit(&[(Summary, "x")]), Against::Whole, me()).await.unwrap();
    assert!(matches!(again, Saved::Overtaken(_)), "there is one");
    f.save(1, &[(Summary, "second")], Against::Whole).await;
    f.store.restore_postmortem(ID, 1, None, me()).await.unwrap();
    assert_eq!((f.stands().version, f.stands().text.section(Summary)), (3, "first\n\nwords"));
    assert_eq!(f.versions()[2].2, "took back version 1");
    match f.store.publish_postmortem(ID, true, me()).await {
        Err(CommandError::Conflict { allowed, .. }) => assert_eq!(allowed, ["resolve"]),
        other => panic!("it burns: {other:?}"),
    }
    f.store.resolve(ID, None, me()).await.unwrap();
    let published = f.store.publish_postmortem(ID, true, me()).await.unwrap();
    assert_eq!((published.state, published.published_by.as_deref()), (PostmortemState::Published, Some("sre-1")));
    let i = f.incident(1);
    assert_eq!((i.status, i.postmortem), (IncidentStatus::Resolved, Some(PostmortemState::Published)));
    // What is published is not drafted over, and can be a draft again.
    f.store.draft_postmortem(ID, text("anew"), me()).await.unwrap();
    assert_eq!(f.stands().version, 3);
    assert_eq!(f.store.publish_postmortem(ID, false, me()).await.unwrap().published_at, None);
    let told = f.store.view().unwrap().timeline(ID, None, 100).unwrap();
    let told = told.iter().filter(|e| e.kind == TimelineKind::Postmortem).count();
    assert_eq!(told, 4, "begun, published, drafted again, a draft again");
}

#[tokio::test]
async fn what_is_too_long_or_empty_is_refused_with_its_place() {
    let f = Fixture::with_draft().await;
    let action = |text: &str, owner: Option<&str>| PostmortemAction {
        text: text.to_owned(),
        owner: owner.map(str::to_owned),
        due: None,
        state: ActionState::Open,
    };
    let long = "x".repeat(40_000);
    let with = |actions| PostmortemEdit { actions: Some(actions), ..PostmortemEdit::default() };
    for (edit, place) in [
        (edit(&[(Causes, &long)]), "/sections/causes"),
        (PostmortemEdit { title: Some(" \n".into()), ..PostmortemEdit::default() }, "/title"),
        (with(vec![action("a", None), action(" ", None)]), "/actions/1/text"),
        (with(vec![action("a", Some(&long))]), "/actions/0/owner"),
        (with(vec![action("a", None); 101]), "/actions"),
        (edit(&PostmortemSection::ALL.iter().map(|s| (*s, &long[..32_000])).collect::<Vec<_>>()), "/sections"),
    ] {
        match f.store.save_postmortem(ID, Some(1), edit, Against::Whole, me()).await {
            Err(CommandError::Invalid { field, .. }) => assert_eq!(field, place),
            other => panic!("{place}: {other:?}"),
        }
    }
    assert_eq!(f.stands().version, 1);
}

#[tokio::test]
async fn only_so_many_versions_are_kept_and_the_one_that_stands_is_among_them() {
    let f = Fixture::with_draft().await;
    f.save(1, &[(Summary, "by hand")], Against::Whole).await;
    for n in 0..205 {
        f.store.draft_postmortem(ID, text(&format!("draft {n}")), me()).await.unwrap();
    }
    let kept = f.versions();
    assert_eq!((kept.len(), kept[0].0, kept[1].0), (200, 2, 9), "the oldest went, but not what stands");
    assert_eq!(f.stands().text.section(Summary), "by hand");
    f.store.resolve(ID, None, me()).await.unwrap();
    f.consistent();
}
