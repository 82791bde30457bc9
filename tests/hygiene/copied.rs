//! What the types of secrets cannot do: be copied, be printed to a user, be serialised, be taken for bytes.
//!
//! Each entry is a fact that the compiler decides; a type that gains such a trait fails here by name.

use core::{fmt::Display, marker::PhantomData};

use chopmark_core::{
    dh,
    identity::{DeviceKeys, RootKeys, Seed},
    kem,
    link::{BundleKey, LinkSecret},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret},
    secret::{Key, Secret},
    session::{Incoming, Opened, Outgoing, Sealed, Session},
    sessions::Sessions,
    signature::{SigningKey, root::RootSigningKey},
};
use serde::Serialize;

/// Asks the compiler whether a type has a trait: the inherent constant wins where its bound holds.
macro_rules! has {
    ($kind:ty, $($bound:tt)+) => {{
        struct Asked<T>(PhantomData<T>);
        #[allow(dead_code, reason = "the bound may hold for every type asked")]
        trait No {
            const HAS: bool = false;
        }
        impl<T> No for Asked<T> {}
        #[allow(dead_code, reason = "used where the bound holds")]
        impl<T: $($bound)+> Asked<T> {
            const HAS: bool = true;
        }
        <Asked<$kind>>::HAS
    }};
}

/// Which of the forbidden traits a type has.
macro_rules! forbidden {
    ($($kind:ty),* $(,)?) => {
        vec![$((
            stringify!($kind),
            vec![
                ("Clone", has!($kind, Clone)),
                ("Copy", has!($kind, Copy)),
                ("Display", has!($kind, Display)),
                ("Serialize", has!($kind, Serialize)),
                ("AsRef<[u8]>", has!($kind, AsRef<[u8]>)),
                ("Deref", has!($kind, core::ops::Deref)),
                ("Into<Vec<u8>>", has!($kind, Into<Vec<u8>>)),
                ("Hash", has!($kind, core::hash::Hash)),
                ("Ord", has!($kind, PartialOrd)),
                ("Default", has!($kind, Default)),
            ],
        )),*]
    };
}

/// What a type has in spite of that, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "kem::DecapsulationKey",
        "Clone",
        "one key in one place, shared by its holders and wiped with the last",
    ),
    ("Sessions", "Default", "a set without sessions holds nothing"),
];

// Seen to fail with `Clone` derived for `SigningKey`, `Seed` and `Session`.
#[test]
fn t26_a_secret_is_not_copied_printed_or_serialised() {
    // The question is answered rightly where the answer is known.
    assert!(has!(Vec<u8>, Clone) && has!(u8, Copy) && has!(String, Display));
    assert!(has!(u8, Serialize) && !has!(Seed, Serialize) && !has!(Vec<u8>, Copy));
    let types = forbidden![
        Secret,
        Key,
        dh::SecretKey,
        kem::DecapsulationKey,
        SigningKey,
        RootSigningKey,
        RootKeys,
        Seed,
        DeviceKeys,
        SignedPrekeySecret,
        OneTimePrekeySecret,
        LinkSecret,
        BundleKey,
        Session,
        Sessions,
        Sealed<'static, Session>,
        Opened<'static, Session>,
        Outgoing,
        Incoming,
    ];
    let mut found = Vec::new();
    for (kind, traits) in types {
        for (name, _) in traits.into_iter().filter(|(_, has)| *has) {
            found.push((kind, name));
        }
    }
    let allowed: Vec<_> = ALLOWED.iter().map(|(kind, name, _)| (*kind, *name)).collect();
    assert_eq!(found, allowed);
}
