//! Passwords: argon2id, made and checked on the blocking pool.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has 10 to 1024 characters")]
    Length,
    /// No random numbers or no memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// The PHC string of a new password. Slow by design; call it on the blocking pool.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if !(10..=1024).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    Argon2::default().hash_password(password.as_bytes()).map(|h| h.to_string()).map_err(|_| PasswordError::Failed)
}

/// Whether the password is the one that was hashed. Slow by design; call it on the blocking pool.
pub fn verify(password: &str, hash: &str) -> bool {
    // Nothing that long was ever hashed, and hashing it would only burn time.
    password.len() <= 4096
        && PasswordVerifier::<str>::verify_password(&Argon2::default(), password.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_passes_wrong_does_not() {
        let h = hash("correct horse").unwrap();
        assert!(h.starts_with("$argon2id$"));
        assert!(verify("correct horse", &h));
        assert!(!verify("correct horsf", &h));
        assert!(!verify("correct horse", "not a hash"));
        assert_ne!(h, hash("correct horse").unwrap(), "salted");
    }

    #[test]
    fn length_is_checked() {
        assert_eq!(hash("short"), Err(PasswordError::Length));
        assert_eq!(hash(&"x".repeat(1025)), Err(PasswordError::Length));
    }
}
