//! What SNS puts around every message, and how it signs it.
//! Rules: AWS' page "Verifying the signatures of Amazon SNS messages" and its validator for JavaScript.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde_json::{Map, Value};

use crate::connectors::text;

/// Fields in the order in which they are signed.
const NOTIFICATION: &[&str] = &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: &[&str] = &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// The fields as they were sent: what is signed must not be trimmed.
pub(super) struct Envelope(Map<String, Value>);

impl Envelope {
    /// None for a body that is no envelope.
    pub fn read(body: &[u8]) -> Option<Self> {
        match serde_json::from_slice(body).ok()? {
            Value::Object(map) if map.contains_key("Type") && map.contains_key("TopicArn") => Some(Self(map)),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Lambda spells addresses in its own way.
    fn address(&self, name: &str) -> Option<&str> {
        self.get(&format!("{name}URL")).or_else(|| self.get(&format!("{name}Url")))
    }

    pub fn is_signed(&self) -> bool {
        self.get("Signature").is_some_and(|s| !s.is_empty())
    }

    /// Where its certificate is, or why that place is not asked.
    pub fn certificate(&self) -> Result<String, String> {
        let Some(link) = self.address("SigningCert") else {
            return Err("the message names no SigningCertURL".to_owned());
        };
        match own_path(link) {
            Some(path) if path.ends_with(".pem") && !path.contains(['?', '#']) => Ok(link.to_owned()),
            _ => Err(format!(
                "its SigningCertURL is not a .pem file of sns.<region>.amazonaws.com: {}",
                text::line(link, 200)
            )),
        }
    }

    /// Whether the text that is signed can be read in one way only. Nothing in it says where a value ends, and anybody may
    /// have SNS sign a message for a topic of their own, with the lines of another topic in it: from the last line back to
    /// the message, each value must be one line.
    fn is_plain(&self) -> bool {
        let kinds = ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"];
        let mut others = NOTIFICATION.iter().chain(CONFIRMATION).filter(|name| **name != "Message");
        self.get("TopicArn").is_some()
            && self.get("Type").is_some_and(|kind| kinds.contains(&kind))
            && others.all(|name| self.get(name).is_none_or(|value| !value.contains('\n')))
    }

    /// The texts that the signature may be over.
    fn signed_texts(&self) -> Vec<String> {
        let over = |names: &[&str]| {
            let lines = names.iter().filter_map(|name| Some(format!("{name}\n{}\n", self.get(name)?)));
            lines.collect::<String>()
        };
        match self.get("Type") {
            Some("SubscriptionConfirmation") => vec![over(CONFIRMATION)],
            // AWS' documentation and its own validator do not agree on this one.
            Some("UnsubscribeConfirmation") => vec![over(CONFIRMATION), over(NOTIFICATION)],
            _ => vec![over(NOTIFICATION)],
        }
    }

    /// Whether the key of this certificate (PEM) made the signature.
    pub fn signed_by(&self, pem: &str) -> bool {
        if !self.is_plain() {
            return false;
        }
        let algorithm = match self.get("SignatureVersion") {
            Some("1") => &RsaSha(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            Some("2") => &RsaSha(&RSA_PKCS1_2048_8192_SHA256),
            _ => return false,
        };
        let Some(signature) = self.get("Signature").and_then(|s| BASE64_STANDARD.decode(s.trim()).ok()) else {
            return false;
        };
        let Some(der) = certificate(pem) else { return false };
        let Ok(certificate) = webpki::EndEntityCert::try_from(&der) else { return false };
        self.signed_texts()
            .iter()
            .any(|text| certificate.verify_signature(algorithm, text.as_bytes(), &signature).is_ok())
    }

    /// Whether its topic, or the account of its topic, is on this list.
    pub fn is_from(&self, list: &str) -> bool {
        let Some(topic) = self.get("TopicArn") else { return false };
        let account = topic.split(':').nth(4).unwrap_or_default();
        let end = list.find("-----BEGIN").unwrap_or(list.len());
        list.get(..end)
            .unwrap_or_default()
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .any(|entry| entry == topic || (account.len() == 12 && entry == account))
    }

    /// What must be called so that the topic sends here, if that is what this asks for; an error says why it is not.
    pub fn confirmation(&self) -> Option<Result<String, String>> {
        if self.get("Type") != Some("SubscriptionConfirmation") {
            return None;
        }
        let link = self.address("Subscribe").unwrap_or_default();
        let asks = |name: &str| text::url_parameter(link, name);
        let right = own_path(link).is_some_and(|path| path.starts_with("/?"))
            && asks("Action").as_deref() == Some("ConfirmSubscription")
            && asks("TopicArn").as_deref() == self.get("TopicArn");
        Some(if right {
            Ok(link.to_owned())
        } else {
            Err(format!(
                "its SubscribeURL does not confirm this topic at sns.<region>.amazonaws.com: {}",
                text::line(link, 200)
            ))
        })
    }
}

/// The certificates in a text, one after the other.
pub(super) fn certificates(list: &str) -> impl Iterator<Item = &str> {
    list.match_indices("-----BEGIN CERTIFICATE-----").filter_map(|(at, _)| list.get(at..))
}

/// The first certificate in a text. Line ends do not matter: a field of one line has lost them.
fn certificate(pem: &str) -> Option<CertificateDer<'static>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (inside, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let plain: String = inside.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64_STANDARD.decode(plain).ok().map(CertificateDer::from)
}

/// The path and query of an address of SNS' own: `https://sns.<region>.amazonaws.com/…`, in China with `.cn`. No other
/// scheme, no user, no port, no other host that only looks like it: `s3-us-west-2` is no region, and the host would be that
/// of a bucket called `sns`.
fn own_path(link: &str) -> Option<&str> {
    let rest = link.strip_prefix("https://")?;
    let (host, _) = rest.split_once('/')?;
    let region = host.strip_prefix("sns.")?;
    let region = region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
    let plain = region.len() >= 3
        && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && region.bytes().take_while(|b| *b != b'-').all(|b| b.is_ascii_alphabetic());
    let path = rest.get(host.len()..)?;
    (plain && text::url(link).as_deref() == Some(link)).then_some(path)
}

/// RSA with PKCS #1 v1.5 over the digest that the version of the signature names.
struct RsaSha(&'static RsaParameters);

impl fmt::Debug for RsaSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaSha")
    }
}

impl SignatureVerificationAlgorithm for RsaSha {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.0, public_key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    // Only asked for certificates that sign certificates; SNS' signs messages.
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_PKCS1_SHA256
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{RSA_PKCS1_SHA256, RsaKeyPair},
    };
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
    use serde_json::json;

    use super::*;

    /// A pair made for these tests with `openssl req -x509 -newkey rsa:2048`; it protects nothing.
    const PEM: &str = include_str!("../../../tests/keys/sns.pem");
    const OTHER: &str = include_str!("../../../tests/keys/other.pem");

    fn envelope(value: Value) -> Envelope {
        Envelope::read(value.to_string().as_bytes()).unwrap()
    }

    fn vector(name: &str) -> Value {
        let all: Value = serde_json::from_str(include_str!("../../../tests/keys/sns-signed.json")).unwrap();
        all[name].clone()
    }

    #[test]
    fn strings_to_sign_are_those_of_the_documentation() {
        let sent = json!({"Type": "Notification", "MessageId": "da41e39f", "TopicArn": "arn:aws:sns:us-east-1:1:t",
            "Subject": "test", "Message": "test message\nand more", "Timestamp": "2012-04-25T21:49:25.719Z"});
        let want = "Message\ntest message\nand more\nMessageId\nda41e39f\nSubject\ntest\nTimestamp\n\
                    2012-04-25T21:49:25.719Z\nTopicArn\narn:aws:sns:us-east-1:1:t\nType\nNotification\n";
        assert_eq!(envelope(sent.clone()).signed_texts(), [want]);
        let mut without = sent;
        without.as_object_mut().unwrap().remove("Subject");
        assert_eq!(envelope(without).signed_texts(), [want.replace("Subject\ntest\n", "")]);
        let asked = json!({"Type": "SubscriptionConfirmation", "MessageId": "m", "TopicArn": "t", "Token": "k",
            "Message": "You have", "SubscribeURL": "https://s", "Timestamp": "T"});
        let want = "Message\nYou have\nMessageId\nm\nSubscribeURL\nhttps://s\nTimestamp\nT\nToken\nk\nTopicArn\nt\n\
                    Type\nSubscriptionConfirmation\n";
        assert_eq!(envelope(asked).signed_texts(), [want]);
    }

    #[test]
    fn signatures_of_both_versions_and_every_type() {
        for name in ["v1", "v2", "no-subject", "confirmation", "unsubscribe-documented", "unsubscribe-validator"] {
            let sent = vector(name);
            assert!(envelope(sent.clone()).signed_by(PEM), "{name}");
            assert!(!envelope(sent.clone()).signed_by(OTHER), "{name}: another key");
            assert!(envelope(sent.clone()).signed_by(&PEM.replace('\n', " ")), "{name}: in one line");
            assert!(!envelope(sent.clone()).signed_by("no certificate"), "{name}");
            for (field, value) in [("Message", "changed"), ("Timestamp", "later"), ("SignatureVersion", "3")] {
                let mut changed = sent.clone();
                changed[field] = value.into();
                assert!(!envelope(changed).signed_by(PEM), "{name}: {field}");
            }
            let mut other = sent;
            let version = if other["SignatureVersion"] == "1" { "2" } else { "1" };
            other["SignatureVersion"] = version.into();
            assert!(!envelope(other).signed_by(PEM), "{name}: the other digest");
        }
    }

    fn sign(text: &str) -> String {
        let der = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../../../tests/keys/sns.key")).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        BASE64_STANDARD.encode(signature)
    }

    #[test]
    fn a_message_of_another_topic_is_not_read_as_one_of_ours() {
        let own = "arn:aws:sns:eu-west-1:123456789012:alarms";
        let strange = "arn:aws:sns:eu-west-1:999999999999:x";
        let inside = format!("MessageId\n1\nTimestamp\nt\nTopicArn\n{own}\nType\nNotification");
        let behind = format!("MessageId\n2\nTimestamp\nT\nTopicArn\n{strange}");
        let signature = sign(&format!("Message\nforged\n{inside}\n{behind}\nType\nNotification\n"));
        let check = |fields: [&str; 5], want: bool| {
            let [message, id, at, topic, kind] = fields;
            let sent = envelope(json!({"Message": message, "MessageId": id, "Timestamp": at, "TopicArn": topic,
                "Type": kind, "SignatureVersion": "2", "Signature": signature}));
            assert_eq!(sent.signed_by(PEM), want, "{fields:?}");
        };
        check([&format!("forged\n{inside}"), "2", "T", strange, "Notification"], true);
        let kind = format!("Notification\n{behind}\nType\nNotification");
        check(["forged", "1", "t", own, &kind], false);
        let topic = format!("{own}\nType\nNotification\n{behind}");
        check(["forged", "1", "t", &topic, "Notification"], false);
    }

    #[test]
    fn only_certificates_of_sns_itself_are_fetched() {
        let check = |link: &str, want: bool| {
            let sent = json!({"Type": "Notification", "TopicArn": "t", "SigningCertURL": link});
            assert_eq!(envelope(sent).certificate().is_ok(), want, "{link}");
        };
        check("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-f3ec.pem", true);
        check("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-f3ec.pem", true);
        for link in [
            "http://sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com/x.txt",
            "https://sns.us-east-1.amazonaws.com/x?y=.pem",
            "https://sns.us-east-1.amazonaws.com/x#.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
            "https://sns.us-east-1.amazonaws.com:444/x.pem",
            "https://evil.example\\sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.a.b.amazonaws.com/x.pem",
            "https://sns..amazonaws.com/x.pem",
            "https://sns.s3-us-west-2.amazonaws.com/x.pem",
            "https://s3.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com",
            "HTTPS://sns.us-east-1.amazonaws.com/x.pem",
            "",
        ] {
            check(link, false);
        }
        let lambda =
            json!({"Type": "N", "TopicArn": "t", "SigningCertUrl": "https://sns.eu-west-1.amazonaws.com/x.pem"});
        assert!(envelope(lambda).certificate().is_ok());
        assert!(envelope(json!({"Type": "N", "TopicArn": "t"})).certificate().is_err());
    }

    #[test]
    fn only_the_topic_itself_is_confirmed() {
        let topic = "arn:aws:sns:eu-west-1:123456789012:alarms";
        let base = "https://sns.eu-west-1.amazonaws.com";
        let check = |link: &str, want: bool| {
            let sent = json!({"Type": "SubscriptionConfirmation", "TopicArn": topic, "SubscribeURL": link});
            assert_eq!(envelope(sent).confirmation().unwrap().is_ok(), want, "{link}");
        };
        check(&format!("{base}/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336"), true);
        check(&format!("{base}/?Action=Unsubscribe&TopicArn={topic}&Token=2336"), false);
        check(&format!("{base}/?Action=ConfirmSubscription&TopicArn={topic}2&Token=2336"), false);
        check(&format!("https://evil.example/?Action=ConfirmSubscription&TopicArn={topic}"), false);
        check("", false);
        assert!(envelope(json!({"Type": "Notification", "TopicArn": topic})).confirmation().is_none());
    }

    #[test]
    fn topics_are_listed_by_name_or_account() {
        let sent = envelope(json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms"}));
        for (list, want) in [
            ("arn:aws:sns:eu-west-1:123456789012:alarms", true),
            ("other, arn:aws:sns:eu-west-1:123456789012:alarms", true),
            ("123456789012", true),
            ("123456789012\n-----BEGIN CERTIFICATE-----\nx", true),
            ("-----BEGIN CERTIFICATE-----\n123456789012", false),
            ("arn:aws:sns:eu-west-1:123456789012:alarm", false),
            ("210987654321", false),
            ("", false),
        ] {
            assert_eq!(sent.is_from(list), want, "{list}");
        }
        assert!(!envelope(json!({"Type": "Notification", "TopicArn": "::::"})).is_from(","));
    }
}
