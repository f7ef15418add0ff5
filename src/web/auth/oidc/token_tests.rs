//! Tokens that are right, and all that are forged.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::json;

use super::*;

const NOW: i64 = 1_772_533_800;

fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn expected() -> Expected<'static> {
    Expected { issuer: "https://id.example.com", client_id: "watchfire", nonce: "n-1", now: Time::from_secs(NOW) }
}

fn right() -> Value {
    json!({"iss": "https://id.example.com", "aud": "watchfire", "sub": "u-1", "nonce": "n-1", "iat": NOW, "exp": NOW + 300})
}

/// A provider's pair on the curve P-256.
struct Curve(EcdsaKeyPair);

impl Curve {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
    }

    fn key(&self, more: Value) -> Key {
        let point = self.0.public_key().as_ref();
        let mut key =
            json!({"kty": "EC", "crv": "P-256", "kid": "k-1", "x": coded(&point[1..33]), "y": coded(&point[33..])});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(key).unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", coded(header.to_string().as_bytes()), coded(claims.to_string().as_bytes()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", coded(signature.as_ref()))
    }
}

fn head() -> Value {
    json!({"alg": "ES256", "kid": "k-1"})
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = right();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(field),
        other => claims.as_object_mut().unwrap().insert(field.to_owned(), other),
    };
    claims
}

#[test]
fn claims_must_be_for_us_for_now_and_for_this_sign_in() {
    let curve = Curve::new();
    let keys = [curve.key(json!({}))];
    let check = |what: &str, claims: Value, want: Result<(), TokenError>| {
        let got = verify(&curve.token(&head(), &claims), &keys, expected()).map(|_| ());
        assert_eq!(got, want, "{what}");
    };
    let wrong = |name| Err(TokenError::Claim(name));
    check("as it should be", right(), Ok(()));
    check("for several", with("aud", json!(["other", "watchfire"])), Ok(()));
    check("of ours among several", with("azp", json!("watchfire")), Ok(()));
    check("for another", with("aud", json!("other")), wrong("aud"));
    check("for others", with("aud", json!(["other", "watchfire2"])), wrong("aud"));
    check("for nobody", with("aud", Value::Null), wrong("aud"));
    check("of another's request", with("azp", json!("other")), wrong("azp"));
    check("of another issuer", with("iss", json!("https://id.example.com.evil.example")), wrong("iss"));
    check("of an issuer with a slash", with("iss", json!("https://id.example.com/")), wrong("iss"));
    check("of no issuer", with("iss", Value::Null), wrong("iss"));
    check("expired", with("exp", json!(NOW - 61)), Err(TokenError::Expired));
    check("expired within the leeway", with("exp", json!(NOW - 30)), Ok(()));
    check("for ever", with("exp", Value::Null), wrong("exp"));
    check("of tomorrow", with("iat", json!(NOW + 86_400)), wrong("iat"));
    check("not yet", with("nbf", json!(NOW + 3_600)), wrong("nbf"));
    check("of another sign-in", with("nonce", json!("n-2")), wrong("nonce"));
    check("of no sign-in", with("nonce", Value::Null), wrong("nonce"));
    check("of nobody", with("sub", json!("")), wrong("sub"));
}

#[test]
fn only_the_providers_keys_sign() {
    let (curve, other) = (Curve::new(), Curve::new());
    let keys = [curve.key(json!({}))];
    let check = |what: &str, token: &str, keys: &[Key], want: TokenError| {
        assert_eq!(verify(token, keys, expected()).unwrap_err(), want, "{what}");
    };
    let good = curve.token(&head(), &right());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let none = |alg: &str| {
        format!("{}.{}", coded(json!({"alg": alg}).to_string().as_bytes()), coded(right().to_string().as_bytes()))
    };
    for alg in ["none", "None", "NONE", "HS256", "HS512", ""] {
        check("nobody's", &format!("{}.", none(alg)), &keys, TokenError::Algorithm(alg.to_owned()));
    }
    // The public key as a shared secret, which every key of a provider would make.
    let confused = none("HS256");
    let mac = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, curve.0.public_key().as_ref()),
        confused.as_bytes(),
    );
    check("confused", &format!("{confused}.{}", coded(mac.as_ref())), &keys, TokenError::Algorithm("HS256".to_owned()));
    check("another's key", &other.token(&head(), &right()), &keys, TokenError::Signature);
    let unknown = json!({"alg": "ES256", "kid": "k-2"});
    check("a key that is not listed", &curve.token(&unknown, &right()), &keys, TokenError::Key);
    let more = coded(with("groups", json!(["admins"])).to_string().as_bytes());
    check("changed on the way", &format!("{header}.{more}.{signature}"), &keys, TokenError::Signature);
    check("no signature", &format!("{signed}."), &keys, TokenError::Signature);
    check(
        "another way to sign",
        &curve.token(&json!({"alg": "RS256", "kid": "k-1"}), &right()),
        &keys,
        TokenError::Key,
    );
    check("for encryption", &good, &[curve.key(json!({"use": "enc"}))], TokenError::Key);
    check("for another way", &good, &[curve.key(json!({"alg": "ES384"}))], TokenError::Key);
    check("no keys", &good, &[], TokenError::Key);
    let critical = json!({"alg": "ES256", "kid": "k-1", "crit": ["exp"]});
    check("what must be understood", &curve.token(&critical, &right()), &keys, TokenError::Shape);
    for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", &format!("{good}.x"), &format!(".{good}"), &good.replace('.', "")]
    {
        check("no token", text, &keys, TokenError::Shape);
    }
    assert!(verify(&good, &[other.key(json!({})), curve.key(json!({}))], expected()).is_ok(), "two of one name");
    assert!(
        verify(&curve.token(&json!({"alg": "ES256"}), &right()), &keys, expected()).is_ok(),
        "a token without a name"
    );
}

#[test]
fn other_kinds_of_keys() {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": coded(pair.public_key().as_ref())});
    let signed = format!("{}.{}", coded(br#"{"alg":"EdDSA"}"#), coded(right().to_string().as_bytes()));
    let token = format!("{signed}.{}", coded(pair.sign(signed.as_bytes()).as_ref()));
    let key: Key = serde_json::from_value(key).unwrap();
    assert!(verify(&token, &[key], expected()).is_ok(), "Ed25519");

    let file: Value = serde_json::from_str(include_str!("../../../../tests/fixtures/oidc/rsa.json")).unwrap();
    let keys: Vec<Key> = serde_json::from_value(file["keys"].clone()).unwrap();
    for way in ["rs256", "ps256"] {
        let token = file[way].as_str().unwrap();
        assert_eq!(verify(token, &keys, expected()).unwrap()["sub"], "u-1", "{way}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = format!("{signed}.A{}", &signature[1..]);
        assert_eq!(verify(&other, &keys, expected()).unwrap_err(), TokenError::Signature, "{way}");
    }
}
