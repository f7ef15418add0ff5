//! TLS of the listener: certificate and key from files that are read again when they change. Every client is asked for a
//! certificate and none needs one; what it shows is looked at where a delivery is let in.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    ingest::certificate::{FileError, Files, Rules, Trust, ends},
    model::Time,
    runtime::clock::Clock,
};

/// How often the files are looked at. Looking is the one way that sees every kind of replacement: a rename, a link that
/// points elsewhere, a mount.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The most that a client's certificates may take, in bytes: they are kept as long as the connection.
const MOST_SHOWN: usize = 16 * 1024;
/// What a client of plain HTTP is told.
const NOT_PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
                           content-length: 52\r\n\r\nThis address speaks HTTPS: begin it with https://.\r\n";

/// What the extensions of a request hold when it came through TLS.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// The client's certificate and those above it, whose key it holds; empty when it showed none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// TLS of the listener, and the files of all certificates.
pub struct Tls {
    config: Arc<Config>,
    trust: Trust,
    now: Mutex<Served>,
    handshakes_failed: AtomicU64,
    looks: watch::Sender<u64>,
}

// What is served, and what was last seen on the disk.
struct Served {
    tls: Option<Arc<ServerConfig>>,
    seen: [u8; 32],
    figures: Figures,
}

/// For `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// When the certificate in use ends.
    pub ends: Option<Time>,
    /// How often changed files were taken.
    pub reloads: u64,
    /// How often changed files could not be used.
    pub failures: u64,
    /// What is on the disk now cannot be used.
    pub failing: bool,
    /// Handshakes that came to nothing.
    pub handshakes_failed: u64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

struct Loaded {
    rules: Rules,
    tls: Option<(Arc<ServerConfig>, Option<Time>)>,
}

/// Every file of certificates or keys that the settings name.
fn paths(config: &Config) -> impl Iterator<Item = PathBuf> {
    config.tls_cert.iter().chain(&config.tls_key).cloned().chain(Rules::files(config))
}

/// Whether the files that these settings name can be used.
pub fn check(config: &Config) -> Result<(), FileError> {
    load(config, &Files::read(paths(config))).map(|_| ())
}

fn load(config: &Config, files: &Files) -> Result<Loaded, FileError> {
    let rules = Rules::new(config, files)?;
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key_file)) => {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let broken = |file: &PathBuf, why: String| FileError::Broken { file: file.clone(), why };
            let chain = files.certificates(cert)?;
            let until = chain.first().and_then(ends);
            let text = files.get(key_file)?;
            let key = PrivateKeyDer::from_pem_slice(text).map_err(|_| {
                // What the parser says may quote the file.
                if text.windows(21).any(|w| w == b"ENCRYPTED PRIVATE KEY") {
                    broken(key_file, "is encrypted; `openssl pkey` writes it without a passphrase".to_owned())
                } else {
                    FileError::Nothing { file: key_file.clone(), what: "private key" }
                }
            })?;
            let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|e| match e {
                Error::InconsistentKeys(_) => {
                    broken(key_file, format!("is not the key of the certificate in {}", cert.display()))
                }
                Error::InvalidCertificate(e) => broken(cert, format!("has a certificate that cannot be used: {e}")),
                _ => broken(key_file, "has a key of a kind that is not known: use RSA, ECDSA or Ed25519".to_owned()),
            })?;
            let tls = server_config(provider, pair, rules.hints()).map_err(|e| broken(cert, e.to_string()))?;
            Some((Arc::new(tls), until))
        }
        _ => None,
    };
    Ok(Loaded { rules, tls })
}

fn server_config(
    provider: Arc<CryptoProvider>,
    pair: CertifiedKey,
    hints: &[DistinguishedName],
) -> Result<ServerConfig, Error> {
    let ask = Arc::new(Ask { hints: hints.to_vec(), provider: Arc::clone(&provider) });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(ask)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl Tls {
    /// With the files as they are now; an error when they cannot be used.
    pub fn open(config: Arc<Config>, now: Time) -> Result<Self, FileError> {
        let files = Files::read(paths(&config));
        let loaded = load(&config, &files)?;
        let (tls, ends) = loaded.tls.unzip();
        let figures = Figures { ends: ends.flatten(), ..Figures::default() };
        warn_of_end(figures.ends, now);
        let passed = config.proxy_cert_header.is_some() || config.proxy_subject_header.is_some();
        if tls.is_none() && !passed && Rules::files(&config).next().is_some() {
            tracing::warn!(
                "CAs of client certificates are set, but no certificate can come: neither `tls.cert` nor `proxy.cert_header` is"
            );
        }
        Ok(Self {
            config,
            trust: Trust::new(loaded.rules),
            now: Mutex::new(Served { tls, seen: files.digest(), figures }),
            handshakes_failed: AtomicU64::new(0),
            looks: watch::Sender::new(0),
        })
    }

    /// Whose client certificates prove a sender.
    pub fn trust(&self) -> Trust {
        self.trust.clone()
    }

    /// Whether the listener speaks TLS.
    pub fn is_on(&self) -> bool {
        self.lock().tls.is_some()
    }

    /// Whether there are files to look at.
    pub fn has_files(&self) -> bool {
        paths(&self.config).next().is_some()
    }

    /// The figures of this moment.
    pub fn figures(&self) -> Figures {
        let handshakes_failed = self.handshakes_failed.load(Ordering::Relaxed);
        Figures { handshakes_failed, ..self.lock().figures }
    }

    /// How often the files have been looked at: changes with every look, also when nothing was new.
    pub fn looks(&self) -> watch::Receiver<u64> {
        self.looks.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Served> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changed files until `stop`.
    pub async fn follow(self: Arc<Self>, clock: Clock, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(LOOK_EVERY) => {}
            }
            let (this, now) = (Arc::clone(&self), clock.now());
            // A folder on the network may take its time.
            if tokio::task::spawn_blocking(move || this.look(now)).await.is_err() {
                tracing::error!("looking at the certificates failed; they stay as they are");
            }
            self.looks.send_modify(|n| *n += 1);
        }
    }

    fn look(&self, now: Time) {
        let files = Files::read(paths(&self.config));
        let digest = files.digest();
        if self.lock().seen == digest {
            return;
        }
        let loaded = load(&self.config, &files);
        let mut served = self.lock();
        served.seen = digest;
        match loaded {
            Ok(loaded) => {
                self.trust.set(loaded.rules);
                let (tls, ends) = loaded.tls.unzip();
                served.tls = tls;
                served.figures.ends = ends.flatten();
                served.figures.reloads += 1;
                served.figures.failing = false;
                let ends = served.figures.ends;
                drop(served);
                let until = ends.map(|t| t.to_string()).unwrap_or_default();
                tracing::info!(until, "the certificates have changed, and the new ones are in use");
                warn_of_end(ends, now);
            }
            Err(e) => {
                served.figures.failures += 1;
                served.figures.failing = true;
                drop(served);
                tracing::warn!(error = %e, "the certificates have changed, and the new ones cannot be used: those before stay in use");
            }
        }
    }

    /// Greets a client. None when that comes to nothing; how long it may take is for the caller to say.
    pub async fn greet(&self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Encrypted)> {
        let config = self.lock().tls.clone()?;
        let mut first = [0];
        if stream.peek(&mut first).await.is_ok() && first.first().is_some_and(u8::is_ascii_uppercase) {
            // A request in plain HTTP: an alert of TLS would say nothing to whoever sent it.
            say_plainly(stream).await;
            self.gave_up();
            return None;
        }
        match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificates = certificates.iter().map(|c| c.clone().into_owned()).collect();
                Some((stream, Encrypted { certificates }))
            }
            Err(e) => {
                self.gave_up();
                tracing::debug!(error = %e, "a TLS handshake failed");
                None
            }
        }
    }

    /// A handshake that was given up.
    pub fn gave_up(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }
}

fn warn_of_end(ends: Option<Time>, now: Time) {
    if let Some(ends) = ends.filter(|ends| *ends <= now) {
        tracing::warn!(%ends, "the certificate has expired: clients will refuse it");
    }
}

async fn say_plainly(mut stream: TcpStream) {
    // It goes into the system's buffer or not at all.
    let _ = stream.write_all(NOT_PLAIN).await;
    let _ = stream.shutdown().await;
    // Closing on what was not read would take the answer back.
    let mut rest = [0; 4096];
    let drained = async {
        for _ in 0..256 {
            if !matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
}

/// Asks every client for a certificate and takes any whose key it holds: which CA may have issued it, and until when it
/// is valid, is a question of each connector.
#[derive(Debug)]
struct Ask {
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Ask {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let size: usize = intermediates.iter().chain([end_entity]).map(|c| c.len()).sum();
        if size > MOST_SHOWN {
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What is logged while it is in use.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn of(work: impl FnOnce()) -> String {
            let log = Self::default();
            let writer = log.clone();
            let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
            tracing::subscriber::with_default(lines, work);
            let bytes = log.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        }
    }

    #[test]
    fn the_log_says_what_became_of_changed_files_and_nothing_of_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::config::defaults(dir.path().to_owned());
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        (config.tls_cert, config.tls_key) = (Some(cert.clone()), Some(key.clone()));
        let pair = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let write = |of: &rcgen::CertifiedKey<rcgen::KeyPair>| {
            std::fs::write(&cert, of.cert.pem()).unwrap();
            std::fs::write(&key, of.signing_key.serialize_pem()).unwrap();
        };
        write(&pair());
        let now = Time::from_secs(1_772_500_000);
        let tls = Tls::open(Arc::new(config), now).unwrap();
        assert_eq!(Log::of(|| tls.look(now)), "", "nothing has changed");

        let other = pair();
        let secret = other.signing_key.serialize_pem();
        let cut_off = secret.get(..100).unwrap();
        let encrypted = secret.replace(" PRIVATE", " ENCRYPTED PRIVATE");
        for (text, want) in [
            (secret.as_str(), "key.pem is not the key of the certificate in"),
            (cut_off, "key.pem holds no private key"),
            (&encrypted, "key.pem is encrypted"),
            ("-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n", "key.pem has a key of a kind"),
            ("", "key.pem holds no private key"),
        ] {
            std::fs::write(&key, text).unwrap();
            let said = Log::of(|| tls.look(now));
            assert!(said.contains(" WARN ") && said.contains("those before stay in use"), "{said}");
            assert!(said.replace("key.pem:", "key.pem").contains(want), "{want}: {said}");
            for line in secret.lines().filter(|l| !l.starts_with("-----")) {
                assert!(!said.contains(line.get(..20).unwrap_or(line)), "{said}");
            }
            assert_eq!(Log::of(|| tls.look(now)), "", "said once");
        }
        assert_eq!((tls.figures().failures, tls.figures().failing, tls.figures().reloads), (5, true, 0));
        write(&other);
        let said = Log::of(|| tls.look(now));
        assert!(said.contains(" INFO ") && said.contains("the new ones are in use"), "{said}");
        assert_eq!((tls.figures().failing, tls.figures().reloads), (false, 1));
        // What has expired is served all the same: the files are the operator's word, and clients say the rest.
        write(&pair());
        let said = Log::of(|| tls.look(Time::from_secs(80_000_000_000)));
        assert!(said.contains("the certificate has expired"), "{said}");
    }
}
