//! The client certificate of a request: shown to us, or passed on by a proxy in front.

use axum::http::{HeaderMap, request::Parts};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;

use super::client::peer;
use crate::{config::Config, ingest::certificate::Shown, web::tls::Encrypted};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What the sender of a request showed, if anything. Headers count only from a trusted proxy. The certificate that such
/// a proxy shows is its own and proves nothing about the sender behind it.
pub fn shown(parts: &Parts, config: &Config) -> Option<Shown> {
    if config.trusts(peer(parts)) {
        return passed(&parts.headers, config);
    }
    let encrypted = parts.extensions.get::<Encrypted>()?;
    (!encrypted.certificates.is_empty()).then(|| Shown::Chain(encrypted.certificates.to_vec()))
}

fn passed(headers: &HeaderMap, config: &Config) -> Option<Shown> {
    if let Some(name) = &config.proxy_cert_header {
        return match only(headers, name)? {
            Ok(text) => Some(certificates(text).map_or(Shown::Unreadable, Shown::Chain)),
            Err(()) => Some(Shown::Unreadable),
        };
    }
    let (subject, verify) = (config.proxy_subject_header.as_ref()?, config.proxy_verify_header.as_ref()?);
    match (only(headers, verify)?, only(headers, subject)?) {
        (Ok("SUCCESS"), Ok(subject)) => Some(Shown::Vouched(common_name(subject))),
        // `NONE`, or `FAILED:` and why.
        (Ok(_), _) => None,
        (Err(()), _) => Some(Shown::Unreadable),
    }
}

/// The one value of a header; none when it is missing, or says that there is no certificate. An error when there are
/// several: then one of them is not the proxy's.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<Result<&'a str, ()>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return Some(Err(()));
    }
    match first.to_str().map(str::trim) {
        // Apache writes `(null)`.
        Ok("" | "(null)") => None,
        Ok(text) => Some(Ok(text)),
        Err(_) => Some(Err(())),
    }
}

/// One certificate, or several with commas: PEM on one line with blanks or percent-encoded (nginx, Apache, Traefik), or
/// Base64 of the DER (HAProxy), also between colons (RFC 9440). All are Base64 once the marks around it are gone.
fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let plain = percent_decode_str(text).decode_utf8().ok()?;
    let one = |part: &str| {
        let part = part.replace(BEGIN, "").replace(END, "");
        let bare: String = part.split_ascii_whitespace().collect();
        let der = BASE64_STANDARD.decode(bare.trim_matches(':')).ok()?;
        (!der.is_empty()).then(|| CertificateDer::from(der))
    };
    plain.split(',').map(one).collect()
}

/// The common name of a subject as RFC 2253 writes it. None when there is none or more than one. Neither the older form
/// with slashes nor a bare name is read: they do not say where a value ends.
fn common_name(subject: &str) -> Option<String> {
    if subject.starts_with('/') {
        return None;
    }
    let mut found = None;
    let mut rest = subject;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        if matches!(name.trim().to_ascii_uppercase().as_str(), "CN" | "2.5.4.3" | "OID.2.5.4.3")
            && found.replace(value).is_some()
        {
            return None;
        }
        rest = after;
    }
    found
}

/// A value up to the comma or plus that ends it, without its escapes, and what follows. None when it is written in a way
/// that proxies do not use (quotes, or DER after `#`).
fn value(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | '+' | ';' => {
                end = at;
                break;
            }
            '"' => return None,
            '#' if bytes.is_empty() => return None,
            '\\' => {
                let (_, next) = chars.next()?;
                let high = next.to_digit(16);
                // Two hexadecimal digits are a byte; anything else stands for itself.
                match (high, chars.clone().next().and_then(|(_, c)| c.to_digit(16))) {
                    (Some(high), Some(low)) => {
                        chars.next();
                        bytes.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    _ => bytes.extend(next.encode_utf8(&mut [0; 4]).bytes()),
                }
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    let rest = text.get(end..)?;
    Some((String::from_utf8(bytes).ok()?, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{extract::ConnectInfo, http::Request};

    use super::*;
    use crate::web::tests::config;

    fn parts(peer: &str, own: Option<&[u8]>, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        if let Some(own) = own {
            let certificates = [CertificateDer::from(own.to_vec())].into();
            parts.extensions.insert(Encrypted { certificates });
        }
        parts
    }

    fn chain(certificates: &[&[u8]]) -> Option<Shown> {
        Some(Shown::Chain(certificates.iter().map(|c| CertificateDer::from(c.to_vec())).collect()))
    }

    #[test]
    fn headers_count_only_from_the_proxy_and_its_own_certificate_never() {
        let mut c = config();
        c.trusted_proxies = vec!["10.0.0.0/24".parse().unwrap()];
        c.proxy_cert_header = Some("x-cert".into());
        let (proxy, other) = ("10.0.0.7", "10.0.1.7");
        let check = |peer, own, headers: &[(&str, &str)], want| {
            assert_eq!(shown(&parts(peer, own, headers), &c), want, "{peer} {headers:?}");
        };
        check(proxy, None, &[("x-cert", "AQID")], chain(&[&[1, 2, 3]]));
        check(other, None, &[("x-cert", "AQID")], None);
        check(other, Some(b"own"), &[("x-cert", "AQID")], chain(&[b"own"]));
        check(other, Some(b"own"), &[], chain(&[b"own"]));
        check(proxy, Some(b"own"), &[], None);
        check(proxy, Some(b"own"), &[("x-cert", "AQID")], chain(&[&[1, 2, 3]]));
        check(proxy, None, &[("x-cert", "(null)")], None);
        check(proxy, None, &[("x-cert", "")], None);
        check(proxy, None, &[("x-cert", "not base64!")], Some(Shown::Unreadable));
        // The sender's beside the proxy's.
        check(proxy, None, &[("x-cert", "AQID"), ("x-cert", "AQID")], Some(Shown::Unreadable));
    }

    #[test]
    fn every_way_in_which_proxies_write_a_certificate() {
        let der: &[u8] = &[0xfb, 0xef, 0xbe, 1, 2, 3, 4];
        for text in [
            "-----BEGIN%20CERTIFICATE-----%0A%2B%2B%2B%2BAQID%0ABA%3D%3D%0A-----END%20CERTIFICATE-----%0A",
            "-----BEGIN CERTIFICATE----- ++++AQID BA== -----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\t++++AQID\tBA==\t-----END CERTIFICATE-----\t",
            "++++AQIDBA==",
            ":++++AQIDBA==:",
            "%2B%2B%2B%2BAQIDBA%3D%3D",
        ] {
            assert_eq!(certificates(text), Some(vec![der.to_vec().into()]), "{text}");
        }
        assert_eq!(certificates("AQID,BAUG"), Some(vec![vec![1, 2, 3].into(), vec![4, 5, 6].into()]));
        for text in ["", "AQID,", "%zz", "-----BEGIN CERTIFICATE----------END CERTIFICATE-----", "%ff"] {
            assert_eq!(certificates(text), None, "{text}");
        }
    }

    #[test]
    fn a_subject_counts_only_with_the_proxys_word() {
        let mut c = config();
        c.trusted_proxies = vec!["10.0.0.7/32".parse().unwrap()];
        c.proxy_subject_header = Some("x-subject".into());
        c.proxy_verify_header = Some("x-verify".into());
        let vouched = Some(Shown::Vouched(Some("a".into())));
        for (peer, verify, subject, want) in [
            ("10.0.0.7", "SUCCESS", "CN=a,O=b", vouched.clone()),
            ("10.0.0.8", "SUCCESS", "CN=a,O=b", None),
            ("10.0.0.7", "NONE", "CN=a", None),
            ("10.0.0.7", "FAILED:certificate has expired", "CN=a", None),
            ("10.0.0.7", "", "CN=a", None),
            ("10.0.0.7", "SUCCESS", "O=b", Some(Shown::Vouched(None))),
        ] {
            let parts = parts(peer, None, &[("x-verify", verify), ("x-subject", subject)]);
            assert_eq!(shown(&parts, &c), want, "{peer} {verify} {subject}");
        }
    }

    #[test]
    fn the_common_name_of_a_subject() {
        for (subject, want) in [
            ("CN=app.netdata.cloud,OU=Cloud SRE,O=Netdata\\, Inc.,C=US", Some("app.netdata.cloud")),
            ("C=US,O=Netdata\\, Inc.,CN=app.netdata.cloud", Some("app.netdata.cloud")),
            ("emailAddress=a@b,cn=x", Some("x")),
            ("OU=a+CN=x,C=US", Some("x")),
            ("CN=caf\\C3\\A9", Some("café")),
            ("CN=a\\,b", Some("a,b")),
            // Nothing in another field is taken for it.
            ("O=x\\,CN\\=app.netdata.cloud,CN=evil", Some("evil")),
            ("O=x\\,CN=app.netdata.cloud", None),
            ("O=CN=app.netdata.cloud", None),
            ("CN=a,CN=b", None),
            ("O=\"x,CN=app.netdata.cloud\"", None),
            ("CN=#0c0161", None),
            ("/C=US/CN=app.netdata.cloud", None),
            ("app.netdata.cloud", None),
            ("CN=a\\", None),
            ("", None),
        ] {
            assert_eq!(common_name(subject).as_deref(), want, "{subject}");
        }
    }
}
