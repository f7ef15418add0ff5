//! How text becomes terms of the index: the analyzer of `text`, which the correlator compares by as well.

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

use crate::text;

/// The name under which the index knows it.
pub const NAME: &str = "watchfire";

/// The analyzer of the index.
pub fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Words { names: false }).build()
}

/// The name under which the index knows that of whole names.
pub const NAMES: &str = "watchfire-names";

/// The analyzer of whole names.
pub fn names() -> TextAnalyzer {
    TextAnalyzer::builder(Words { names: true }).build()
}

/// The terms of `text::terms`, or the names of `text::names`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    names: bool,
}

/// Terms of one text. The index keeps no places of them, so that all come from the same one.
pub struct Terms {
    all: String,
    ends: std::vec::IntoIter<usize>,
    from: usize,
    current: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Terms;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms {
        let (mut all, mut ends) = (String::with_capacity(text.len()), Vec::new());
        let each = |term: &str| {
            all.push_str(term);
            ends.push(all.len());
        };
        if self.names {
            text::names(text, each)
        } else {
            text::pieces(text, each)
        }
        Terms { all, ends: ends.into_iter(), from: 0, current: Token::default() }
    }
}

impl TokenStream for Terms {
    fn advance(&mut self) -> bool {
        let Some(end) = self.ends.next() else { return false };
        self.current.text.clear();
        self.current.text.push_str(self.all.get(self.from..end).unwrap_or_default());
        self.current.position = self.current.position.wrapping_add(1);
        self.from = end;
        true
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_has_the_terms_of_the_one_analyzer() {
        for sentence in ["checkoutApi_p99 > 5% on pg-primary-1.db", "Replica of mysqld is behind", "", "Ünïcode ПРИВЕТ"]
        {
            let mut analyzer = analyzer();
            let mut stream = analyzer.token_stream(sentence);
            let mut found = Vec::new();
            while stream.advance() {
                found.push(stream.token().text.clone());
            }
            assert_eq!(found, text::terms(sentence).collect::<Vec<_>>(), "{sentence}");
        }
    }
}
