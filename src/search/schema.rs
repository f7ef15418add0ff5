//! What is indexed. Documents are of two kinds: an incident with all that was said in it, and an alert.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};

use super::analyzer;

/// The fields.
#[derive(Clone, Copy)]
pub struct Fields {
    /// An incident's number; only incidents have it.
    pub number: Field,
    /// In every incident's document, to count them.
    pub kind: Field,
    /// An incident's title, kept: incidents that are alike are compared by it.
    pub title: Field,
    /// Its services and what its alerts say, kept.
    pub body: Field,
    /// All words of an incident: title, number, services, hosts, alerts, summary, notes, thoughts.
    pub said: Field,
    /// Status, severity, sender, services and owner of an incident, as they are counted: `status:resolved`.
    pub facet: Field,
    /// What else an incident is found by and not counted by: `host:db-1`, `label.env:prod`, `is:test`, `state:complete`.
    pub has: Field,
    /// When it was opened, in ms.
    pub opened: Field,
    /// When it ended, in ms; missing while it is open.
    pub ended: Field,
    /// How many alerts it has.
    pub alerts: Field,
    /// An alert's number; only alerts have it.
    pub alert: Field,
    /// The incident that an alert was first in, to forget it with that.
    pub of: Field,
    /// All words of an alert: title, description, service, host, labels.
    pub words: Field,
    /// Whole names of hosts and the like in either. A field of their own: there are very many, and the beginning of a word
    /// must not be looked for among them.
    pub names: Field,
}

/// The schema, which `VERSION` goes up with.
pub fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let text = |analyzer, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(analyzer).set_index_option(option);
        // Lengths of fields would cost a byte for each document, and rank nothing here.
        TextOptions::default().set_indexing_options(indexing.set_fieldnorms(false))
    };
    let compared = text(analyzer::NAME, IndexRecordOption::WithFreqs).set_stored();
    let searched = text(analyzer::NAME, IndexRecordOption::Basic);
    let fields = Fields {
        number: builder.add_u64_field("number", INDEXED | STORED | FAST),
        kind: builder.add_u64_field("kind", INDEXED),
        title: builder.add_text_field("title", compared.clone()),
        body: builder.add_text_field("body", compared),
        said: builder.add_text_field("said", searched.clone()),
        facet: builder.add_text_field("facet", STRING | FAST),
        has: builder.add_text_field("has", STRING),
        opened: builder.add_i64_field("opened", INDEXED | FAST),
        ended: builder.add_i64_field("ended", INDEXED | FAST),
        alerts: builder.add_u64_field("alerts", INDEXED | FAST),
        alert: builder.add_u64_field("alert", INDEXED | FAST),
        of: builder.add_u64_field("of", INDEXED),
        words: builder.add_text_field("words", searched),
        names: builder.add_text_field("names", text(analyzer::NAMES, IndexRecordOption::Basic)),
    };
    (builder.build(), fields)
}
