//! The network on which startups are registered, and the account that registers them.

use ed25519_dalek::SigningKey;
use hatch_credentials::concordium::address::Account;

use crate::{
    error::Error,
    settings::{Environment, FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Reports faults in the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Concordium>()];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Testnet,
    Mainnet,
}

impl Network {
    /// The name in identifiers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Testnet => "testnet",
            Self::Mainnet => "mainnet",
        }
    }
}

/// The account that registers startups on Concordium's chain.
#[derive(Debug)]
pub(crate) struct Registrar {
    pub(crate) sender: Account,
    /// The first key of the account's first credential.
    pub(crate) key: SigningKey,
}

/// Concordium's services.
#[derive(Debug)]
pub(crate) struct Concordium {
    pub(crate) network: Network,
    pub(crate) verifier_url: String,
    pub(crate) wallet_proxy_url: String,
    /// `None` means that nothing is registered.
    pub(crate) registrar: Option<Registrar>,
}

/// A proof on the test network proves nothing, so it is only accepted in development.
impl FromVars for Concordium {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let environment = Environment::of(vars)?;
        let network = match (vars.get("CONCORDIUM_NETWORK").as_deref(), environment) {
            (Some("testnet"), _) | (None, Environment::Development) => Network::Testnet,
            (Some("mainnet"), _) | (None, Environment::Production) => Network::Mainnet,
            (Some(_), _) => return Err(wrong("CONCORDIUM_NETWORK", "`testnet` or `mainnet`")),
        };
        let domain = match network {
            Network::Testnet => "testnet.concordium.com",
            Network::Mainnet => "mainnet.concordium.software",
        };
        let service = |variable, name: &str| vars.base_url(variable, &format!("https://{name}.{domain}"));
        Ok(Self {
            network,
            verifier_url: service("CONCORDIUM_VERIFIER_URL", "web3id-verifier")?,
            wallet_proxy_url: service("CONCORDIUM_WALLET_PROXY_URL", "wallet-proxy")?,
            registrar: registrar(vars)?,
        })
    }
}

fn registrar(vars: &Vars) -> Result<Option<Registrar>, Error> {
    let (sender, key) = match (vars.get("CONCORDIUM_SENDER"), vars.get("CONCORDIUM_SIGNING_KEY")) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(wrong("CONCORDIUM_SIGNING_KEY", "set, when CONCORDIUM_SENDER is")),
        (None, Some(_)) => return Err(wrong("CONCORDIUM_SENDER", "set, when CONCORDIUM_SIGNING_KEY is")),
        (Some(sender), Some(key)) => (sender, key),
    };
    let sender = sender.parse().map_err(|_| wrong("CONCORDIUM_SENDER", "the address of an account"))?;
    let key = base16ct::mixed::decode_vec(&key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.ok_or(wrong("CONCORDIUM_SIGNING_KEY", "the 64 hexadecimal digits of its signing key"))?;
    Ok(Some(Registrar { sender, key: SigningKey::from_bytes(&key) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Concordium, Error> {
        Concordium::from_vars(&Vars::for_test(vars))
    }

    #[test]
    fn an_account_registers_with_its_key_or_not_at_all() {
        let (sender, key) = ("4ZJBYQbVp3zVZyjCXfZAAYBVkJMyVj8UKUNj9ox5YqTCBdBq2M", "ab".repeat(32));
        let set = |sender, key| parse(&[("CONCORDIUM_SENDER", sender), ("CONCORDIUM_SIGNING_KEY", key)]);
        let settings = set(sender, &key).unwrap();
        let registrar = settings.registrar.as_ref().unwrap();
        assert_eq!(registrar.sender.to_string(), sender);
        assert!(
            !format!("{settings:?}").contains(&"ab".repeat(16))
                && !format!("{settings:?}").contains("171, 171")
        );
        for (wrong_sender, wrong_key, named) in [
            (sender, "", "CONCORDIUM_SIGNING_KEY"),
            (sender, "abcd", "CONCORDIUM_SIGNING_KEY"),
            ("", key.as_str(), "CONCORDIUM_SENDER"),
            ("4ZJB", key.as_str(), "CONCORDIUM_SENDER"),
        ] {
            let error = set(wrong_sender, wrong_key).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable, .. } if variable == named));
            assert!(!error.detail().contains(&key));
        }
        let network = |vars: &[(&str, &str)]| parse(vars).unwrap().network;
        assert_eq!(network(&[]), Network::Mainnet);
        assert_eq!(network(&[("ENVIRONMENT", "development")]), Network::Testnet);
    }
}
