use super::words;

words! {
    /// How bad it is, from worst to least. The order is the order of need.
    Severity {
        /// Users are hit, now.
        Critical = "critical",
        /// Will hit users soon, or hits some.
        High = "high",
        /// Somebody should look today.
        Medium = "medium",
        /// Worth knowing.
        Low = "low",
        /// Never opens an incident by itself.
        Info = "info",
    }
}

impl Severity {
    /// The worse of two.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.min(other)
    }

    /// The word with a capital, as pages show it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
            Self::Info => "Info",
        }
    }
}
