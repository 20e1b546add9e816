import board, selftest, time, sys, machine, log
t=time.ticks_us()
f=selftest.failed()
u=machine.UART(0,115200,tx=machine.Pin(0),rx=machine.Pin(1), txbuf=256, rxbuf=512)
u.write("hello %s %s %s %d\n"%(f, sys.path, board.jumper(), time.ticks_us()-t))
log.say("hi")
while 1:
    if board.jumper():
        print("J", sys.path, f)
    time.sleep_ms(20)
    u.write(repr(u.read()))
