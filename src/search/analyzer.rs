//! How text becomes terms: identifiers split (`checkoutApi_p99` → checkout, api, p99), lower case, stemmed.

use tantivy::tokenizer::{Language, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};

/// The name under which the index knows it.
pub const NAME: &str = "watchfire";

/// The analyzer of the index and of similarity.
pub fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Splitter).filter(Stemmer::new(Language::English)).build()
}

/// The terms of a text, in order, with repeats.
pub fn terms(text: &str) -> Vec<String> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut out = Vec::new();
    while stream.advance() {
        out.push(stream.token().text.clone());
    }
    out
}

/// Splits at everything that is neither letter nor digit, and where small letters meet capitals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splitter;

/// Tokens of one text.
pub struct Split {
    tokens: std::vec::IntoIter<Token>,
    current: Token,
}

impl Tokenizer for Splitter {
    type TokenStream<'a> = Split;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Split {
        let mut tokens: Vec<Token> = Vec::new();
        let mut word = String::new();
        let mut from = 0;
        let mut before = ' ';
        for (at, c) in text.char_indices() {
            let boundary = !c.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase());
            if boundary {
                push(&mut tokens, &mut word, from, at);
            }
            if c.is_alphanumeric() {
                if word.is_empty() {
                    from = at;
                }
                word.extend(c.to_lowercase());
            }
            before = c;
        }
        push(&mut tokens, &mut word, from, text.len());
        Split { tokens: tokens.into_iter(), current: Token::default() }
    }
}

fn push(tokens: &mut Vec<Token>, word: &mut String, from: usize, to: usize) {
    // Longer than this is no word, but a hash or a dump.
    if !word.is_empty() && word.len() <= 64 {
        let position = tokens.len();
        tokens.push(Token { offset_from: from, offset_to: to, position, text: word.clone(), position_length: 1 });
    }
    word.clear();
}

impl TokenStream for Split {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.current = token;
                true
            }
            None => false,
        }
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
    fn identifiers_are_split_and_words_stemmed() {
        for (text, want) in [
            ("checkoutApi_p99 > 5%", vec!["checkout", "api", "p99", "5"]),
            ("Connections refused", vec!["connect", "refus"]),
            ("pg-primary-1.db", vec!["pg", "primari", "1", "db"]),
            ("", vec![]),
            ("Ünïcode ПРИВЕТ", vec!["ünïcode", "привет"]),
        ] {
            assert_eq!(terms(text), want, "{text}");
        }
        assert!(terms(&"x".repeat(5000)).is_empty());
    }
}
