use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};

use super::*;
use crate::config::ConnectorConfig;

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn ca(name: &str) -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ca { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
}

impl Ca {
    fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 7, 1);
        params.extended_key_usages = vec![usage];
        Shown::Chain(vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()])
    }
}

fn config() -> Config {
    crate::config::defaults("/nowhere".into())
}

fn rules(change: impl FnOnce(&mut Config), files: &[(&str, &str)]) -> Result<Rules, FileError> {
    let mut config = config();
    change(&mut config);
    let files = files.iter().map(|(name, text)| (PathBuf::from(name), Ok(text.as_bytes().to_vec()))).collect();
    Rules::new(&config, &Files(files))
}

fn of(ca: Option<&str>, names: &[&str]) -> ConnectorConfig {
    let client_cn = (!names.is_empty()).then(|| names.iter().map(|n| (*n).to_owned()).collect());
    ConnectorConfig { client_ca: ca.map(PathBuf::from), client_cn, ..Default::default() }
}

#[test]
fn only_the_right_ca_name_time_and_purpose() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let (ours, foreign) = (ca("Ours"), ca("Foreign"));
    let change = |c: &mut Config| {
        c.tls_client_ca = Some("/general".into());
        c.connectors.insert("netdata".into(), of(Some("/own"), &[]));
        c.connectors.insert("jenkins".into(), of(Some("/own"), &["ci"]));
        c.connectors.insert("batch-jobs".into(), of(Some("/own"), &["batch"]));
    };
    let rules = rules(change, &[("/own", &ours.pem), ("/general", &foreign.pem)]).unwrap();
    let now: Time = "2026-03-03T10:30:00Z".parse().unwrap();
    let check = |platform: &str, shown: Shown, at: Time, want: Result<(), &str>| {
        let got = rules.check(platform, &shown, at);
        match (got, want) {
            (Ok(()), Ok(())) => {}
            (Err(got), Err(want)) => assert!(got.contains(want), "{platform}: {got}"),
            (got, want) => panic!("{platform}: {got:?}, wanted {want:?}"),
        }
    };
    let client = |ca: &Ca, name: &str| ca.issue(&[name], ClientAuth);
    check("netdata", client(&ours, "app.netdata.cloud"), now, Ok(()));
    check("netdata", client(&ours, "api.netdata.cloud"), now, Ok(()));
    // The vendor's own sample compares a part of the name.
    for name in
        ["app.netdata.cloud.evil.example", "xapp.netdata.cloud", "APP.netdata.cloud", "app.netdata.cloud\0x", ""]
    {
        check("netdata", client(&ours, name), now, Err("another name"));
    }
    check("netdata", ours.issue(&[], ClientAuth), now, Err("another name"));
    check("netdata", client(&foreign, "app.netdata.cloud"), now, Err("not of a CA"));
    check("netdata", ours.issue(&["app.netdata.cloud"], ServerAuth), now, Err("not meant for clients"));
    check("netdata", client(&ours, "app.netdata.cloud"), "2026-07-02T00:00:00Z".parse().unwrap(), Err("has expired"));
    check("netdata", client(&ours, "app.netdata.cloud"), "2025-12-31T00:00:00Z".parse().unwrap(), Err("not valid yet"));
    check("netdata", Shown::Chain(vec![b"no certificate".to_vec().into()]), now, Err("cannot be read"));
    check("netdata", Shown::Unreadable, now, Err("cannot be read"));
    check("jenkins", client(&ours, "ci"), now, Ok(()));
    check("jenkins", client(&ours, "app.netdata.cloud"), now, Err("another name"));
    check("grafana", client(&foreign, "anybody"), now, Ok(()));
    check("grafana", client(&ours, "ci"), now, Err("not of a CA"));
    check("a-custom-source", client(&foreign, "anybody"), now, Ok(()));
    // A declared source of the configuration has a CA and names like any other.
    check("batch-jobs", client(&ours, "batch"), now, Ok(()));
    check("batch-jobs", client(&ours, "ci"), now, Err("another name"));
    check("batch-jobs", client(&foreign, "batch"), now, Err("not of a CA"));
    // A public CA serves many: the name must be the vendor's.
    check("pagerduty", client(&foreign, "webhooks.pagerduty.com"), now, Ok(()));
    check("pagerduty", client(&foreign, "anybody"), now, Err("another name"));
    check("netdata", Shown::Vouched(Some("app.netdata.cloud".into())), now, Ok(()));
    check("netdata", Shown::Vouched(Some("other".into())), now, Err("another name"));
    check("netdata", Shown::Vouched(None), now, Err("another name"));
    check("grafana", Shown::Vouched(Some("anybody".into())), now, Err("passes only the name"));
}

#[test]
fn what_comes_with_the_program() {
    let rules = rules(|_| {}, &[]).unwrap();
    assert_eq!(rules.hints().len(), 1);
    for connector in connectors::ALL {
        let slug = connector.info().slug;
        let has = rules.rule(slug).verifier.is_some();
        assert_eq!(has, connector.client_certificate().ca.is_some(), "{slug}");
    }
    let way = rules.way("netdata").unwrap();
    assert!(way.contains("`app.netdata.cloud` or `api.netdata.cloud`"), "{way}");
    assert_eq!(rules.way("grafana"), None);
    let no_ca = Shown::Chain(vec![b"x".to_vec().into()]);
    assert!(rules.check("grafana", &no_ca, Time::from_secs(1)).unwrap_err().contains("no CA"));
    // As the vendor publishes it: the fingerprint of wire/inbound.md.
    let pem = connectors::find("netdata").unwrap().client_certificate().ca.unwrap();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let digest: String = Sha256::digest(&der).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(digest, "61e5d8d002e83a2dfaf9d6fdd86ee5c128870a9875cec7501332270528e56d61");
    assert_eq!(ends(&der), Some("2033-02-19T12:43:00Z".parse().unwrap()));
    assert_eq!(common_name(&der).as_deref(), Some("Netdata Root CA"));
}

#[test]
fn files_that_do_not_work_are_named_and_not_quoted() {
    let secret = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHN1cGVyLXNlY3JldA==\n-----END PRIVATE KEY-----\n";
    for (text, want) in [
        (Some("hello"), "/ca.pem holds no certificate in PEM form"),
        (Some(secret), "/ca.pem holds no certificate in PEM form"),
        (Some("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"), "cannot be used as a CA"),
        (Some("-----BEGIN CERTIFICATE-----\nAQID"), "/ca.pem: is not PEM, or is cut off"),
        (None, "/ca.pem cannot be read"),
    ] {
        let files: Vec<_> = text.iter().map(|t| ("/ca.pem", *t)).collect();
        let said = rules(|c| c.tls_client_ca = Some("/ca.pem".into()), &files).unwrap_err().to_string();
        assert!(said.contains(want) && !said.contains("MC4CAQ"), "{said}");
    }
}

#[test]
fn of_two_common_names_none_counts() {
    let ca = ca("A");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "app.netdata.cloud");
    params.distinguished_name.push(DnType::OrganizationName, "evil");
    let made = params.signed_by(&KeyPair::generate().unwrap(), &ca.issuer).unwrap();
    let der = made.der().to_vec();
    assert_eq!(common_name(&der.clone().into()).as_deref(), Some("app.netdata.cloud"));
    // The organization becomes a second common name: only the last byte of its identifier differs.
    let organization = der.windows(5).rposition(|w| w == [6, 3, 0x55, 4, 10]).unwrap();
    let mut two = der;
    two[organization + 4] = 3;
    assert_eq!(common_name(&two.into()), None);
}
