//! What the ranking looks at, what each of it weighs, and how it is said.
//!
//! A score is the sum of value × weight. Values lie between 0 and 1 unless it is said otherwise, so that a weight is the
//! most that a reason can bring, in units of log odds: one more makes a cause 2.7 times as likely as another.

/// One kind of reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Its stable word.
    pub word: &'static str,
    /// What it weighs; below zero it speaks against.
    pub weight: f64,
    /// What its value measures.
    pub meaning: &'static str,
    /// The clause, with names of what is filled in in braces.
    pub sentence: &'static str,
}

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident $word:literal $weight:literal $meaning:literal $sentence:literal;)*) => {
        $($(#[$doc])* #[doc = $meaning]
        pub const $name: Feature =
            Feature { word: $word, weight: $weight, meaning: $meaning, sentence: $sentence };)*
        /// All of them.
        #[cfg(test)]
        pub const ALL: &[Feature] = &[$($name),*];
    };
}

features! {
    // How much a place alerts.
    PRESENCE "presence" 1.75 "its strength, as a share of the strongest place's" "{what}";
    OWN "own" 2.5 "its own strength, what its callees explain taken off, as a share of the greatest" "{what}";
    CRITICAL "critical" 0.75 "one of its alerts is critical" "{n} of its alerts {are} critical";
    DIVERSITY "diversity" 1.5 "different kinds of trouble, five or more are 1" "it shows {n} of trouble: {kinds}";
    RESOURCE "resource" 1.25 "its strength in what a machine or process can lack, as a share of the greatest" "it lacks something itself: {kinds}";
    DECISIVE "decisive" 1.5 "how far its symptom explains itself; a fifth of that for alerts that are not severe" "{symptom} {tells}";
    AROUND "elsewhere" -0.5 "all its alerts are in other incidents" "its alerts stand in {incidents}, not here";
    // What kind of trouble, as a share of the place that shows most of it.
    LOG "log" 1.25 "alerts on lines of its log" "its log has unusual lines";
    LESS_TRAFFIC "less_traffic" 1.25 "fewer requests than usual" "it gets or makes fewer requests than usual";
    UNAVAILABLE "unavailable" 0.5 "no answers" "it does not answer as it should";
    ERRORS "errors" 0.25 "errors" "it answers with errors";
    NETWORK "network" 0.5 "packets and links" "its network is in trouble";
    LATENCY "latency" 0.25 "slow answers" "it answers slowly";
    TRAFFIC "traffic" 0.25 "more requests than usual" "it gets more requests than usual";
    // Where it stands among those that call each other.
    DEPENDENTS "dependents" 1.25 "strength of alerting callers, 0.7 for each call between, as a share of all" "{names} {call} it and {alert} too";
    NOBODY_CALLS "no_dependents" -0.5 "no alerting service calls it, though calls are known" "nothing that alerts calls it";
    CHAIN "chain" 0.25 "length of the unbroken run of callers above it with the same trouble, as a share of the longest" "the same trouble goes up from it without a gap, through {names}";
    CHAIN_END "chain_end" 2.0 "such a run ends at it: nothing that it calls has that trouble" "{kind} of {names} {lead} down to it and no further";
    NAMED "named" 1.5 "alerts of other places whose text names it, as a share of the most" "{names} {name} it";
    BLAMED "blamed" 0.5 "the same for calls to it that alerts tell of" "calls to it by {names} are told of";
    SIBLING "sibling" 1.75 "its strength less the mean of its siblings', as a share of the strongest place's; may be below 0" "{what}";
    FRONT "front" -1.5 "its name says that it shows others: a load balancer, a proxy, a client's view" "it shows what stands behind it, as its name says";
    // When.
    FIRST "first" 0.25 "it alerted before all others by more than two evaluations" "it alerted first, {gap} before {name}";
    // Machines.
    SHARED "shared" 1.5 "half for each service beyond the first, two at most, on a machine that lacks something" "{sharers} alert on it";
    MACHINE_BELOW "machine_below" -2.5 "the machine that it shares lacks something" "the machine {host} has {symptom}, and {sharers} alert on it";
    // What is known besides.
    CHANGE "change" 4.0 "how near before the onset it was changed: 10 min 1, half an hour 0.7, an hour 0.45, two 0.2" "{change} of {service} came {gap} before {beginning}";
    CHANGE_ELSEWHERE "change_elsewhere" 4.0 "something was changed in the half hour before" "{change} came {gap} before {beginning}";
    NO_ALERT "no_alert" -1.5 "nothing of what was changed alerts" "{what}";
    TOO_LATE "too_late" -1.0 "the change came after the onset" "{change} came {gap} after {beginning}";
    DID_NOT_GO_OUT "did_not_go_out" -1.0 "the change failed and changed nothing" "{change} did not go out: {outcome}";
    COMMIT "commit" 1.5 "the failed build names its commit" "the build names commit {commit}";
    ENDED "before" 2.0 "earlier incidents ended so: 0.8 for the latest, 0.1 for each of two more; half where they name others too" "{what}";
    ALIKE "alike" 5.0 "votes of the ten ended incidents most alike, above the share that it has anyway" "it was the cause of {incidents}, which began alike";
    ALIKE_SAME "alike_same" 3.25 "the same votes, as far as it shows again what it showed then" "it shows again what it showed then";
    TELLING "telling" 3.25 "how much more often than others a place with its alerts was the cause, on a logarithmic scale; may be below 0" "where {rule} alerted, that place was the cause {n} of {times}";
    OWN_SIGNS "own_signs" 3.25 "the same for its own alerts, against how often it is the cause anyway; may be below 0" "it was the cause of {n} of {known}, and this is how it alerts then or when it is not";
    OFTEN "often" 3.25 "the share of ended incidents that it was the cause of" "it was the cause of {n} of {known}";
    RARE "rare" 1.75 "how seldom its alerts are seen, many count more" "{rule} was seen of it in {n} of {ended}";
    SHIFT "shift" 1.25 "how far a figure of it left what it was, on a logarithmic scale; less where it is an effect" "{metric} went from {before} to {after}";
    ALARM "alarm" 0.5 "its monitoring raised an alarm that nobody sent" "{tool} itself raised {alarm} on it";
    LINES "lines" 0.5 "its log tells of what went wrong" "its log has {n} that tell of it, the first {line}";
    QUIET "quiet" -0.5 "its figures were looked at and stayed as they were" "{tool} saw nothing unusual of it";
    // Weaknesses.
    OVER "over" -1.5 "all its alerts resolved while others burn" "its {alerts} resolved while {others} still fire{s}";
    MILD "mild" -1.0 "nothing of it is worse than low" "nothing about it is worse than {severity}";
    FLAPS "flaps" -1.0 "nothing but a flapping alert" "it goes up and down";
    LONE "lone" -2.0 "nothing but one alert; as far as its symptom does not explain itself" "one alert alone tells little";
    // Senders that see nothing.
    BLIND "blind" 0.5 "its alerts say that the sender sees nothing" "{n} {say} only that no data comes";
    BLIND_SENDER "blind_sender" 9.0 "the share of alerts by which one sender gets no data from several places" "{n} of {all} say that {sender} gets no data, on {places} at once";
}

impl Feature {
    /// The clause with its numbers and names.
    pub fn say(&self, fill: &[(&str, String)]) -> String {
        let mut text = String::with_capacity(self.sentence.len() + 40);
        let mut rest = self.sentence;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else { break };
            if let Some((_, value)) = fill.iter().find(|(n, _)| *n == name) {
                text.push_str(value);
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_once_and_every_row_can_be_read() {
        let mut seen = std::collections::BTreeSet::new();
        for f in ALL {
            assert!(seen.insert(f.word), "{} stands twice", f.word);
            assert!(f.word.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", f.word);
            assert!(f.weight != 0.0 && !f.meaning.is_empty() && !f.sentence.is_empty(), "{}", f.word);
            assert_eq!(f.sentence.matches('{').count(), f.sentence.matches('}').count(), "{}", f.word);
        }
    }

    #[test]
    fn sentences_are_filled_once() {
        let said = FIRST.say(&[("gap", "4 min".into()), ("name", "{gap}".into())]);
        assert_eq!(said, "it alerted first, 4 min before {gap}");
    }
}
