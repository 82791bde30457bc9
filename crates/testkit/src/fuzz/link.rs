//! How two people first meet.

use chopmark_wire::link::ContactLink;

/// A contact link, as bytes and as text.
pub fn link(data: &[u8]) {
    if let Ok(read) = ContactLink::decode(data) {
        assert_eq!(read.encode().as_slice(), data, "a link has two forms");
        assert_eq!(read.to_string().parse::<ContactLink>().as_ref(), Ok(&read));
        assert_eq!(read.to_qr_text().parse::<ContactLink>().as_ref(), Ok(&read));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = text.parse::<ContactLink>() {
        let known = [read.to_string(), read.to_qr_text()];
        assert!(
            known.iter().any(|known| known.eq_ignore_ascii_case(text)),
            "a link has three texts"
        );
    }
}
