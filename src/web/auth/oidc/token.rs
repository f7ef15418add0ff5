//! An ID token, believed only when it is signed by one of the provider's keys and says what it must. Pure.
//!
//! Written here and not taken from a library: those that read tokens bring either a second provider of cryptography beside
//! `ring` or the `rsa` crate with its open advisory (RUSTSEC-2023-0071), and the checks below are what remains. The order
//! and the words are those of OpenID Connect Core 1.0, 3.1.3.7, and of RFC 7515.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Time;

/// How much two clocks may differ, in seconds.
const LEEWAY: i64 = 60;
/// Longest token that is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// A key of the provider, as RFC 7517 writes it. Members of kinds that nobody here reads are left out.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Key {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who issued it, exactly.
    pub issuer: &'a str,
    /// For whom.
    pub client_id: &'a str,
    /// That it answers this very sign-in.
    pub nonce: &'a str,
    /// The time.
    pub now: Time,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no signed token.
    #[error("the ID token is not a signed token")]
    Shape,
    /// It is signed in a way that proves nothing here.
    #[error("the ID token is signed by `{0}`; RS, PS, ES and EdDSA are taken")]
    Algorithm(String),
    /// None of the provider's keys is the one that it names. They may have changed.
    #[error("the ID token is signed by a key that the provider does not list")]
    Key,
    /// Somebody else signed it, or it was changed.
    #[error("the signature of the ID token is wrong")]
    Signature,
    /// A claim is missing or another than it must be.
    #[error("the ID token has a wrong `{0}`")]
    Claim(&'static str),
    /// Its time is over.
    #[error("the ID token has expired; do the clocks of this machine and of the provider agree?")]
    Expired,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// The claims of a token that may be believed.
pub fn verify(token: &str, keys: &[Key], expected: Expected<'_>) -> Result<Map<String, Value>, TokenError> {
    let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= LONGEST).ok_or(TokenError::Shape)?;
    let (header, payload) = signed.split_once('.').filter(|(_, p)| !p.contains('.')).ok_or(TokenError::Shape)?;
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| TokenError::Shape)?;
    let signature = decoded(signature)?;
    if header.crit.is_some() {
        // Something that must be understood, and is not.
        return Err(TokenError::Shape);
    }
    let way = Way::of(&header.alg)?;
    let mut fitting = keys.iter().filter(|key| key.fits(&header, way)).peekable();
    if fitting.peek().is_none() {
        return Err(TokenError::Key);
    }
    if !fitting.any(|key| key.has_signed(way, signed.as_bytes(), &signature)) {
        return Err(TokenError::Signature);
    }
    let claims: Map<String, Value> = serde_json::from_slice(&decoded(payload)?).map_err(|_| TokenError::Shape)?;
    check(&claims, expected)?;
    Ok(claims)
}

fn check(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), TokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(|v| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)));
    let must = |holds: bool, name: &'static str| if holds { Ok(()) } else { Err(TokenError::Claim(name)) };
    let now = expected.now.millis() / 1000;
    must(text("iss") == Some(expected.issuer), "iss")?;
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.client_id,
        Some(Value::Array(all)) => all.iter().any(|one| one == expected.client_id),
        _ => false,
    };
    must(for_us, "aud")?;
    must(claims.get("azp").is_none_or(|azp| azp == expected.client_id), "azp")?;
    let until = seconds("exp").ok_or(TokenError::Claim("exp"))?;
    if until.saturating_add(LEEWAY) <= now {
        return Err(TokenError::Expired);
    }
    must(seconds("iat").is_some_and(|at| at <= now.saturating_add(LEEWAY)), "iat")?;
    must(seconds("nbf").is_none_or(|at| at <= now.saturating_add(LEEWAY)), "nbf")?;
    must(text("nonce") == Some(expected.nonce), "nonce")?;
    must(text("sub").is_some_and(|sub| !sub.is_empty() && sub.len() <= 255), "sub")
}

fn decoded(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Shape)
}

/// A way to sign.
#[derive(Clone, Copy)]
enum Way {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static dyn signature::VerificationAlgorithm),
}

impl Way {
    /// By its name; what anybody could sign (`none`) or what shares a secret with us (`HS…`) is none.
    fn of(name: &str) -> Result<Self, TokenError> {
        Ok(match name {
            "RS256" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            "PS384" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            "PS512" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            "ES256" => Self::Curve("P-256", &ECDSA_P256_SHA256_FIXED),
            "ES384" => Self::Curve("P-384", &ECDSA_P384_SHA384_FIXED),
            "EdDSA" | "Ed25519" => Self::Curve("Ed25519", &ED25519),
            other => return Err(TokenError::Algorithm(other.chars().take(20).collect())),
        })
    }
}

impl Key {
    /// Whether it may have signed a token with this head.
    fn fits(&self, header: &Header, way: Way) -> bool {
        let kind = match way {
            Way::Rsa(_) => self.kty == "RSA",
            Way::Curve("Ed25519", _) => self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519"),
            Way::Curve(curve, _) => self.kty == "EC" && self.crv.as_deref() == Some(curve),
        };
        kind && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == header.alg)
            && (header.kid.is_none() || header.kid == self.kid)
    }

    fn has_signed(&self, way: Way, signed: &[u8], signature: &[u8]) -> bool {
        let part = |text: &Option<String>| text.as_deref().and_then(|t| URL_SAFE_NO_PAD.decode(t).ok());
        match way {
            Way::Rsa(parameters) => {
                let (Some(n), Some(e)) = (part(&self.n), part(&self.e)) else { return false };
                // Some providers write the number with a zero before it, as ASN.1 does.
                let n = n.iter().position(|byte| *byte != 0).and_then(|at| n.get(at..)).unwrap_or_default();
                RsaPublicKeyComponents { n, e: &e[..] }.verify(parameters, signed, signature).is_ok()
            }
            Way::Curve("Ed25519", way) => {
                part(&self.x).is_some_and(|x| UnparsedPublicKey::new(way, x).verify(signed, signature).is_ok())
            }
            Way::Curve(_, way) => {
                let (Some(x), Some(y)) = (part(&self.x), part(&self.y)) else { return false };
                let point: Vec<u8> = [0x04].into_iter().chain(x).chain(y).collect();
                UnparsedPublicKey::new(way, point).verify(signed, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
