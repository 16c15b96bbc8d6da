//! Signs a callback by Standard Webhooks: `v1,` and the base64 of an HMAC-SHA256 over id, time and body, one for each secret
//! of the timer's group. Which secrets there are is decided elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::FixedOutput as _;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use timer_core::secret::SecretBytes;

/// The value of `webhook-signature`: a signature with each of `secrets`, in their order, so that a receiver that only looks at
/// the first goes on with the old secret until that is deleted. None without secrets.
pub(super) fn header(
    secrets: &[SecretBytes],
    webhook_id: &[u8],
    webhook_timestamp: &[u8],
    body: &[u8],
) -> Result<Option<String>, InvalidLength> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let signed = |secret: &SecretBytes| sign(secret.expose(), [webhook_id, webhook_timestamp, body]);
    let signatures = secrets.iter().map(signed).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(signatures.join(" ")))
}

/// The signature over `parts` with a dot between them, with its version before it.
fn sign(secret: &[u8], parts: [&[u8]; 3]) -> Result<String, InvalidLength> {
    let [id, timestamp, body] = parts;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
    for part in [id, b".", timestamp, b".", body] {
        mac.update(part);
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize_fixed())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Standard Webhooks' own libraries.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let parts: [&[u8]; 3] = [b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", br#"{"test": 2432232314}"#];
        assert_eq!(sign(&secret, parts).unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_on_its_own_and_none_signs_nothing() {
        let [old, new] = [1, 2].map(|byte| SecretBytes::new([byte; 32]));
        let with = |secrets: &[SecretBytes]| header(secrets, b"msg_1", b"1700000000", b"").unwrap();
        assert_eq!(with(&[]), None);
        let (of_old, of_new) = (with(&[old]).unwrap(), with(&[new]).unwrap());
        assert_ne!(of_old, of_new);
        assert_eq!(with(&[old, new]).unwrap(), format!("{of_old} {of_new}"));
    }

    #[test]
    fn no_part_runs_into_the_next() {
        let secret = [SecretBytes::new([7; 32])];
        let one = header(&secret, b"msg_1", b"2", b"34").unwrap();
        assert_ne!(one, header(&secret, b"msg_1", b"23", b"4").unwrap());
        assert_ne!(one, header(&secret, b"msg_12", b"", b"34").unwrap());
    }
}
