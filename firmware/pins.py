"""The controller's pins: GPIO numbers of the RP2040 and RP2350, from hardware/pins.toml."""

UART_TX = 0
UART_RX = 1
RS485_DE = 2
RELAY = 6
GREEN = 7
RED = 8
BUZZER = 9
TURN = 10
TURN_OUT = 11
CONTACT = 12
EXIT_BUTTON = 13
FIRE = 14
HELP_BUTTON = 15
TAMPER = 16
REARM = 17
PAIRING = 18
HEARTBEAT = 25
