//! The cryptography behind every TLS connection of the process.

/// Chooses ring for the whole process. Safe to call again.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
