//! Why a call of the SDK did not do what it was asked.

use chopmark_core::random::RandomnessError;
use chopmark_wire::link::LinkError;

use crate::event::Hold;
use crate::store::StoreError;

/// The call changed nothing, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The home has a store and no account in it: its creation was interrupted. Remove the home and create it again.
    #[error("this home has no account: create it again")]
    NoAccount,
    /// The text is not a contact link.
    #[error("this is not a contact link: {0}")]
    Link(#[from] LinkError),
    /// The link is our own.
    #[error("this is your own link: give it to someone else")]
    OwnLink,
    /// There is no such link of ours.
    #[error("there is no such link")]
    NoSuchLink,
    /// There is no such contact.
    #[error("there is no such contact: list them, or add one by a link")]
    NoSuchContact,
    /// The contact is not at a stage where this can be done.
    #[error("{0}")]
    Stage(&'static str),
    /// The request came on a session that the contact has not confirmed yet, so that it may be somebody else's. No coin
    /// was touched; it can be paid once they have.
    #[error(
        "the session with this contact is not confirmed yet: wait until their device has answered"
    )]
    Unconfirmed,
    /// Nothing goes out to this contact for now.
    #[error("{}", held(*.0))]
    Held(Hold),
    /// The text is empty or too long.
    #[error("a message has 1 to {0} bytes of text")]
    Text(usize),
    /// These are not the 24 words of a seed.
    #[error("these are not the 24 words: check the spelling and the order")]
    Words,
    /// The relay's address is not one.
    #[error("this is not a relay's address: it looks like chop-relay:host:port#hash")]
    RelayAddress,
    /// The issuer's URL or its unit is not one.
    #[error(
        "an issuer is an http or https URL without a path, its unit a short name with up to 18 decimals"
    )]
    Issuer,
    /// The payment was not begun; no coin was touched.
    #[error(transparent)]
    Pay(#[from] chopmark_pay::PayError),
    /// The request was not made.
    #[error(transparent)]
    Request(#[from] chopmark_pay::RequestError),
    /// The token was not taken in.
    #[error(transparent)]
    Redeem(#[from] chopmark_pay::RedeemError),
    /// The wallet's records could not be used.
    #[error(transparent)]
    Records(#[from] chopmark_pay::RecordsError),
    /// There is no such request or payment.
    #[error("there is no such payment")]
    NoSuchPayment,
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// A session could not seal; what was to be sent is not queued.
    #[error("the message could not be sealed: {0}")]
    Seal(String),
    /// The program is ending; the call may be made again after a restart.
    #[error("the program is ending")]
    Ending,
    /// Something here is not as it must be. Please report it; nothing was changed.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

const fn held(hold: Hold) -> &'static str {
    match hold {
        Hold::Recovered => {
            "this contact's account was restored since you compared the safety number: ask them whether it was they, and agree"
        }
        Hold::TwoStories => {
            "this contact's account shows two different lists of devices: nothing is sent until it is recovered"
        }
    }
}

impl Error {
    /// Is this about the device and not about what it was doing: later, the same call may well succeed?
    pub(crate) const fn is_of_the_device(&self) -> bool {
        matches!(
            self,
            Self::Store(_)
                | Self::Records(_)
                | Self::Randomness(_)
                | Self::NoAccount
                | Self::Ending
        )
    }
}
