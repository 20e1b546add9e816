import machine
def jumper():
    p=machine.Pin(18, machine.Pin.IN, machine.Pin.PULL_UP)
    return not p.value()
