//! Mistakes that the explorer has to find: each is one rule of the model, broken.

/// One broken rule. The first three are the natural mistakes of a KEM epoch machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// E mixes the secret into its own next step, as soon as it has it (SPEC §5.7 `[whoever-steps-mixes]`).
    EncapsulatorMixesAtItsOwnStep,
    /// E forgets the secret when the peer acknowledged the message with the ciphertext (`[secret-until-activation]`).
    SecretFreedOnAcknowledgement,
    /// I mixes the secret into the root key when it decapsulates, not with its step (`[whoever-steps-mixes]`).
    MixedAtDecapsulation,
    /// An object of an earlier chain is taken for the epoch in progress (`[late-object-ignored]`).
    LateObjectTaken,
    /// The receiving half of a root step is made before the body's tag is checked (SPEC §5.5 `[open-then-commit]`).
    StepBeforeAuthentication,
    /// Our ratchet key is deleted before the transaction that stores the step (SPEC §5.4 `[step-wipes-own-key]`).
    OwnKeyWipedBeforeCommit,
    /// A new chain drops the one before, with the gaps that it had (SPEC §5.3).
    OldChainDroppedAtStep,
    /// The acknowledgement speaks of the current chain only, whatever the ones before lack (SPEC §5.9).
    GapsForgottenInAcknowledgement,
    /// The state is durable before the content is (SPEC §5.9 `[acknowledgement-is-true]`).
    AcknowledgedBeforeCommit,
    /// The envelope leaves before the state that sealed it is durable (SPEC §5.10 `[persist-before-send]`).
    SentBeforePersisted,
    /// The session that the peer began sends before ours, confirmed or not (SPEC §5.8 `[own-before-claimed]`).
    ClaimedBeforeOwn,
    /// Nothing brings the other sessions on before one is confirmed (SPEC §5.8 `[probed-until-confirmed]`).
    ProbesBesideConfirmedOnly,
    /// Of two that cross, that which was confirmed last sends (SPEC §5.8 `[glare-by-lower-id]`).
    LastConfirmedSends,
    /// Any session counts for the two unconfirmed slots (SPEC §5.8 `[unconfirmed-evicts-no-confirmed]`).
    UnconfirmedEvictsConfirmed,
    /// The newest session sends content, confirmed or not (SPEC §5.8 `[probe-only-beside-confirmed]`).
    ContentBesideConfirmed,
    /// Content is answered only on the session that sends (SPEC §5.8 `[answered-where-it-came]`).
    AnsweredWhereItSends,
    /// A first message makes a session each time it comes (SPEC §4.5 `[first-message-once]`).
    HandshakeForgotten,
    /// What was sealed before sending moved is not deposited again (SPEC §5.9 `[nothing-lost-silently]`).
    OutboxForgottenOnMove,
}

/// All of them.
pub(super) const ALL: [Planted; 18] = [
    Planted::EncapsulatorMixesAtItsOwnStep,
    Planted::SecretFreedOnAcknowledgement,
    Planted::MixedAtDecapsulation,
    Planted::LateObjectTaken,
    Planted::StepBeforeAuthentication,
    Planted::OwnKeyWipedBeforeCommit,
    Planted::OldChainDroppedAtStep,
    Planted::GapsForgottenInAcknowledgement,
    Planted::AcknowledgedBeforeCommit,
    Planted::SentBeforePersisted,
    Planted::ClaimedBeforeOwn,
    Planted::ProbesBesideConfirmedOnly,
    Planted::LastConfirmedSends,
    Planted::UnconfirmedEvictsConfirmed,
    Planted::ContentBesideConfirmed,
    Planted::AnsweredWhereItSends,
    Planted::HandshakeForgotten,
    Planted::OutboxForgottenOnMove,
];

/// What the model goes by: SPEC, but for at most one rule, and how the client is driven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) planted: Option<Planted>,
    /// Messages before a new epoch: 8 in SPEC §5.7.
    pub(super) pace: u8,
    /// Whether what a session owes is sent in the transaction that opened something, as the client does it, or at any
    /// time later.
    pub(super) eager: bool,
    /// The order of the session ids: that of session `name` is `ranks[name]`.
    pub(super) ranks: [u8; 8],
}

impl Rules {
    pub(super) fn has(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }
}
