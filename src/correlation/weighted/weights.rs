//! How much each kind of evidence weighs, in log-odds, and how soon it is worth less. Found on simulated streams with known
//! truth (`tests/bench/groups`); read them as proportions, not as laws.

/// The numbers of the weighing; times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Before anything is known: two alerts have nothing to do with each other.
    pub bias: f64,
    /// Same service, and how long that counts.
    pub same: f64,
    /// See above; for how long.
    pub same_lasts: f64,
    /// The same service says about the same again.
    pub symptom: f64,
    /// See above; for how long.
    pub symptom_lasts: f64,
    /// The alert's service calls one of the incident, over 1, 2, 3 hops.
    pub needs: [f64; 3],
    /// A service of the incident calls the alert's.
    pub needed: [f64; 3],
    /// See above; for how long.
    pub topology_lasts: f64,
    /// More when that service is where the incident began.
    pub root: f64,
    /// Both call the same third service, which is silent.
    pub sibling: f64,
    /// See above; for how long.
    pub sibling_lasts: f64,
    /// Damping of services that everything calls.
    pub hub: f64,
    /// Same machine; more when either is about the machine itself.
    pub host: f64,
    /// See above.
    pub host_itself: f64,
    /// See above; for how long.
    pub host_lasts: f64,
    /// The sender put both into one group, where that is to count: before all else.
    pub group: f64,
    /// So long after an incident began its senders' groups count, and the clock by itself: `correlation.cluster_window`.
    pub window: f64,
    /// An alert of a machine, and a service that runs there.
    pub runs: f64,
    /// See above; for how long.
    pub runs_lasts: f64,
    /// The text names a service of the other.
    pub named: f64,
    /// See above; for how long.
    pub named_lasts: f64,
    /// The texts say about the same; only in support of other evidence.
    pub text: f64,
    /// See above; for how long.
    pub text_lasts: f64,
    /// Trouble of the network or of machines, in both.
    pub network: f64,
    /// See above.
    pub network_text: f64,
    /// The same alert of another service or machine.
    pub burst: f64,
    /// See above; for how long.
    pub burst_lasts: f64,
    /// An incident that gets many alerts now is a likelier home.
    pub busy: f64,
    /// See above.
    pub busy_most: f64,
    /// It came soon after another, where nobody knows who calls whom: so much for each factor by which that is sooner than
    /// chance would have it.
    pub soon: f64,
    /// Within so long alerts of one cause mostly come.
    pub soon_lasts: f64,
    /// At most.
    pub soon_most: f64,
    /// Links that are likely by chance in a large incident.
    pub chance: f64,
    /// Most of its alerts have ended.
    pub ended: f64,
    /// Silence much longer than its own rhythm.
    pub silence: f64,
    /// Another environment.
    pub environment: f64,
    /// Above this for a second incident, both young: they are one.
    pub merge: f64,
    /// See above; for how long.
    pub merge_age: f64,
    /// At the second look: so much better must another incident fit.
    pub again: f64,
    /// And so well, on average, all alerts of a small incident for it to become part of another.
    pub together: f64,
    /// An incident that heard nothing for so long gains nothing.
    pub idle: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            bias: -1.7,
            same: 2.1,
            same_lasts: 1800.0,
            symptom: 0.45,
            symptom_lasts: 2600.0,
            needs: [3.64, 1.28, 0.8],
            needed: [1.7, 1.31, 1.29],
            topology_lasts: 310.0,
            root: 0.17,
            sibling: 1.62,
            sibling_lasts: 300.0,
            hub: 0.107,
            host: 3.0,
            host_itself: 0.77,
            host_lasts: 255.0,
            group: 12.0,
            window: 300.0,
            runs: 6.0,
            runs_lasts: 260.0,
            named: 3.26,
            named_lasts: 405.0,
            text: 0.952,
            text_lasts: 294.0,
            network: 3.4,
            network_text: 1.2,
            burst: 2.16,
            burst_lasts: 148.0,
            busy: 0.236,
            busy_most: 3.5,
            soon: 2.0,
            soon_lasts: 60.0,
            soon_most: 2.6,
            chance: 3.5,
            ended: 3.0,
            silence: 4.0,
            environment: 4.0,
            merge: 0.8,
            merge_age: 320.0,
            again: 0.3,
            together: 0.16,
            idle: 10_080.0,
        }
    }
}
