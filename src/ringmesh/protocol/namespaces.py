"""XML namespaces on the wire."""

CLIENT = "jabber:client"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"  # RFC 7395
STREAM = "http://etherx.jabber.org/streams"  # RFC 6120
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"  # RFC 3921
STREAM_MANAGEMENT = "urn:xmpp:sm:3"  # XEP-0198
CARBONS = "urn:xmpp:carbons:2"  # XEP-0280
FORWARD = "urn:xmpp:forward:0"  # XEP-0297
PING = "urn:xmpp:ping"  # XEP-0199
LAST_ACTIVITY = "jabber:iq:last"  # XEP-0012
ROSTER = "jabber:iq:roster"  # RFC 6121
PRIVACY = "jabber:iq:privacy"  # XEP-0016
DISCO_INFO = "http://jabber.org/protocol/disco#info"  # XEP-0030
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
MOBILE = "http://tigase.org/protocol/mobile#v2"
CLIENT_STATE = "urn:xmpp:csi:0"
