//! Client certificates: whose CA each connector trusts, and whether what a sender showed is of it.
//!
//! The handshake only proves that the sender holds the key of its certificate. Who may have issued it is asked here, for
//! each connector by itself, so that a sender with a foreign or an expired one can still use its key.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    CertificateError, DistinguishedName, Error, RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate,
    der::{Decode, asn1::ObjectIdentifier},
    ext::pkix::name::DirectoryString,
};

use crate::{
    config::Config,
    connectors::{self, ClientCertificate},
    model::Time,
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A file of certificates or keys that cannot be used. Never says what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The system does not give it.
    #[error("{} cannot be read: {why}", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// There is something else in it.
    #[error("{} holds no {what} in PEM form", .file.display())]
    Nothing {
        /// Which.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// It is there and does not work.
    #[error("{}: {why}", .file.display())]
    Broken {
        /// Which.
        file: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Files as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Result<Vec<u8>, String>>);

impl Files {
    /// Reads them, following links. What cannot be read is kept as that.
    pub fn read(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).map_err(|e| e.to_string());
            (path, bytes)
        };
        Self(paths.into_iter().map(read).collect())
    }

    /// One of them.
    pub fn get(&self, file: &Path) -> Result<&[u8], FileError> {
        match self.0.get(file) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(why)) => Err(FileError::Unreadable { file: file.to_owned(), why: why.clone() }),
            None => Err(FileError::Unreadable { file: file.to_owned(), why: "it was not asked for".to_owned() }),
        }
    }

    /// The same number for the same contents.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (path, bytes) in &self.0 {
            all.update(path.as_os_str().as_encoded_bytes());
            match bytes {
                Ok(bytes) => all.update(Sha256::digest(bytes)),
                Err(why) => all.update(why.as_bytes()),
            }
        }
        all.finalize().into()
    }

    /// The certificates of a file, in their order; at least one.
    pub fn certificates(&self, file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let broken = |why: String| FileError::Broken { file: file.to_owned(), why };
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.get(file)?).collect();
        let found = found.map_err(|_| broken("is not PEM, or is cut off".to_owned()))?;
        if found.is_empty() {
            return Err(FileError::Nothing { file: file.to_owned(), what: "certificate" });
        }
        Ok(found)
    }
}

/// What a sender showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Its certificate first, then those above it. It has proven, to us or to a trusted proxy, that it holds the key.
    Chain(Vec<CertificateDer<'static>>),
    /// A trusted proxy verified its certificate and says which common name it has, if it has one.
    Vouched(Option<String>),
    /// A trusted proxy passed something that is no certificate.
    Unreadable,
}

/// Whose certificates prove a sender, for all connectors. Cheap to clone; all see it when the files are read again.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RwLock<Arc<Rules>>>);

/// What `Trust` holds at one moment.
#[derive(Debug)]
pub struct Rules {
    of: HashMap<String, Rule>,
    // For declared sources of which the settings say nothing.
    others: Rule,
    hints: Vec<DistinguishedName>,
}

#[derive(Clone, Debug, Default)]
struct Rule {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    names: Vec<String>,
}

impl Rules {
    /// The files that the settings name.
    pub fn files(config: &Config) -> impl Iterator<Item = PathBuf> {
        let own = config.connectors.values().filter_map(|c| c.client_ca.clone());
        config.tls_client_ca.iter().cloned().chain(own)
    }

    /// Of these settings, with the files as read.
    pub fn new(config: &Config, files: &Files) -> Result<Self, FileError> {
        let load = |file: &Path| {
            let loaded = files.certificates(file)?;
            verifier(loaded).map_err(|why| FileError::Broken { file: file.to_owned(), why })
        };
        let general = config.tls_client_ca.as_deref().map(load).transpose()?;
        let mut of = HashMap::new();
        let platforms = connectors::ALL.iter().map(|c| (c.info().slug, c.client_certificate()));
        let declared = config.connectors.keys().filter(|slug| connectors::find(slug).is_none());
        let declared = declared.map(|slug| (slug.as_str(), ClientCertificate::default()));
        for (slug, known) in platforms.chain(declared) {
            let fixed = config.connectors.get(slug);
            let names = match fixed.and_then(|f| f.client_cn.clone()) {
                Some(names) => names,
                None => known.names.iter().map(|n| (*n).to_owned()).collect(),
            };
            let verifier = match (fixed.and_then(|f| f.client_ca.as_deref()), known.ca) {
                (Some(file), _) => Some(load(file)?),
                // Part of the program; a test reads them all.
                (None, Some(pem)) => verifier(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect()).ok(),
                (None, None) => general.clone(),
            };
            of.insert(slug.to_owned(), Rule { verifier, names });
        }
        let others = Rule { verifier: general, names: Vec::new() };
        let used = of.values().chain([&others]).filter_map(|rule| rule.verifier.as_ref());
        let mut hints: Vec<_> = used.flat_map(|v| v.root_hint_subjects().iter().cloned()).collect();
        hints.sort_by(|a, b| AsRef::<[u8]>::as_ref(a).cmp(b.as_ref()));
        hints.dedup_by(|a, b| AsRef::<[u8]>::as_ref(a) == AsRef::<[u8]>::as_ref(b));
        Ok(Self { of, others, hints })
    }

    /// The names of all trusted CAs: what a client that has several certificates chooses by.
    pub fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn rule(&self, platform: &str) -> &Rule {
        self.of.get(platform).unwrap_or(&self.others)
    }

    /// Whether this proves a sender of that platform; else why not, in words that tell nothing about the certificate.
    pub fn check(&self, platform: &str, shown: &Shown, now: Time) -> Result<(), &'static str> {
        let rule = self.rule(platform);
        let name = match shown {
            Shown::Chain(chain) => {
                let Some((own, above)) = chain.split_first() else { return Err("the client certificate is missing") };
                let Some(verifier) = &rule.verifier else { return Err("no CA is set for client certificates here") };
                verifier.verify_client_cert(own, above, unix(now)).map_err(|e| reason(&e))?;
                common_name(own)
            }
            // Which CA it was, only the proxy knows: without a name anybody that it verifies would be let in.
            Shown::Vouched(_) if rule.names.is_empty() => {
                return Err("no `client_cn` is set here, and the proxy passes only the name");
            }
            Shown::Vouched(name) => name.clone(),
            Shown::Unreadable => return Err("what the proxy passed as client certificate cannot be read"),
        };
        let fits = rule.names.is_empty() || name.is_some_and(|name| rule.names.contains(&name));
        if fits { Ok(()) } else { Err("the client certificate is for another name") }
    }

    /// How a certificate proves a sender of that platform, in words; none when no CA is set.
    pub fn way(&self, platform: &str) -> Option<String> {
        let rule = self.rule(platform);
        let ca = match (&rule.verifier, rule.names.is_empty()) {
            (None, true) => return None,
            (None, false) => "verified by the proxy in front",
            (Some(_), _) => "of the connector's CA",
        };
        let names = rule.names.join("` or `");
        let named = if names.is_empty() { String::new() } else { format!(", with the common name `{names}`") };
        Some(format!("a client certificate {ca}{named}"))
    }
}

impl Trust {
    /// No certificate proves anybody.
    pub fn none() -> Self {
        Self::new(Rules { of: HashMap::new(), others: Rule::default(), hints: Vec::new() })
    }

    /// Of these rules.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// The rules of this moment.
    pub fn rules(&self) -> Arc<Rules> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these.
    pub fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

fn verifier(certificates: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|e| format!("has a certificate that cannot be used as a CA: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|e| e.to_string())
}

fn unix(now: Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0)))
}

fn reason(e: &Error) -> &'static str {
    let Error::InvalidCertificate(e) = e else { return "the client certificate cannot be read" };
    match e {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the client certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the client certificate is not valid yet"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the client certificate is not meant for clients"
        }
        CertificateError::BadEncoding => "the client certificate cannot be read",
        _ => "the client certificate is not of a CA that is trusted here",
    }
}

/// The common name of a certificate's subject. None when there is none or more than one: which of them counts would be
/// a guess.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let mut names = parsed.tbs_certificate().subject().iter().filter(|a| a.oid == COMMON_NAME);
    let name = names.next()?.value.decode_as::<DirectoryString>().ok()?;
    names.next().is_none().then(|| name.value().into_owned())
}

/// When a certificate ends.
pub fn ends(certificate: &CertificateDer<'_>) -> Option<Time> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let ends = parsed.tbs_certificate().validity().not_after.to_unix_duration();
    Some(Time::from_millis(i64::try_from(ends.as_millis()).ok()?))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
