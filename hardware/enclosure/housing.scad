// The housing of a unit at a door: `front` (window, lights, button) and `back` (wall plate with the Pi).
// Millimetres. x to the right and y up, seen from the front; z from the wall to the visitor, 0 at the
// wall. README.md has the reasons; tests/hardware/test_enclosure.py checks the numbers.
//
//   openscad -D 'part="front"' -o front.stl housing.scad      part: front, back, clash, all

part = "all";

// --- outside -------------------------------------------------------------------------------------
width = 110;
height = 176;
depth = 60;         // from the wall: back plate and front together
corner = 8;         // radius
wall = 3;           // 3 mm: seven lines of a 0.4 mm nozzle; stiff enough against a blow
plate = 5;          // the back: room for a gasket's groove over 2.5 mm of floor
slack = 0.3;        // between printed parts that slide

// --- Raspberry Pi 3B, 4B, 5 (mechanical drawings): 85 x 56, holes 58 x 49, 3.5 from the edges, 2.7 wide
pi_length = 85;
pi_width = 56;
pi_hole_length = 58;
pi_hole_width = 49;
pi_hole_edge = 3.5;
pi_board = 1.6;
pi_tall = 17;       // the USB sockets of a 4B stand 16 above the board
pi_stand = 6;       // below the board: solder, and 3.5 of screw thread
pi_screw = 2.2;     // pilot for an M2.5 that cuts its thread
pi_x = 0;
pi_y = -26;         // middle of the board; its sockets look down

// --- Camera Module 3 (mechanical drawing): 25 x 23.862, holes 21 x 12.5, 2 from the edges, 2.2 wide.
// The lens stands in the middle between the two lower holes.
camera_width = 25;
camera_height = 23.862;
camera_hole_width = 21;
camera_hole_height = 12.5;
camera_hole_edge = 2;
camera_screw = 1.7; // pilot for an M2
camera_post = 4.2;
camera_lens = 8.5;  // from the board's face to the lens's front, with 1 to spare
camera_behind = 6;  // connector and the bend of the cable

// --- window: a pane of 2 mm polycarbonate, glued from inside into a recess
window_y = 50;      // the lens, above the middle
window_wide = 13;   // 66 degrees across, from a pupil 2.6 wide and 5.6 behind the narrow edge: 9.9
window_high = 13;   // 41 degrees down: 6.8; square, so that the module may be turned
pane_wide = 16;     // between the camera's posts
pane_high = 24;
pane_thick = 2;
recess = 1.2;       // of the wall's 3

// --- illuminator: two strips, each behind its own pane, so that none of it glares into the lens
lamp_x = 43;        // a glossy page mirrors it 21 beside the middle: outside a code of 40
lamp_y = 44;
lamp_wide = 8;
lamp_high = 28;

// --- lights and button: panel parts for holes of 16 mm, 30 deep behind the face
light_hole = 16.2;
light_x = 22;
light_y = 72;       // above the lens, so that the hand that holds the code does not hide them
light_deep = 30;
button_deep = 24;
light_body = 20;    // the nut
button_y = -40;     // help
sound_y = -70;      // sounder: 19 holes of 2 mm, a film behind them keeps water out

// --- screws: M4 with a security head, from the front into nuts in the back, covered by the wall
screw_x = width / 2 - 12.5;
screw_y = height / 2 - 12.5;
screw_hole = 4.5;
screw_head = 8.4;
screw_under = 5;    // wall under the head: with the plate's 5 an M4 x 10 fills its nut
nut = 7.2;          // across the flats of an M4 nut, 3.2 thick
nut_deep = 3.4;
column = 12.5;

// --- gasket: round cord of 3 mm in a groove in the back, pressed by the front's rim
rim = 7;            // width of the front's wall at the back: groove and 1.8 on each side
rim_high = 6;
cord = 3;
groove_wide = 3.4;
groove_deep = 2.3;  // the cord is compressed by 23 %; its makers require 15 to 30

// --- wall: two keyholes above, one hole below for a screw behind the closed front
key_x = 30;
key_y = 66;
key_head = 9;
key_neck = 4.5;
cable = 20;         // gland or grommet through the back, over a box in the wall
cable_y = 46;

// --- tamper switch: Omron SS-5 size, 19.8 x 6.4 x 10.2, two holes 9.5 apart; its button meets a post
switch_long = 19.8;
switch_wide = 6.4;
switch_tall = 10.2;
switch_holes = 9.5;
switch_screw = 1.9;
switch_x = -40;
switch_y = -30;
switch_stand = 3;
post = 7;

$fn = part == "clash" ? 16 : 32;
e = 0.01;

inner_depth = depth - plate - wall;

module slab(w, h, d, r) {
  linear_extrude(d) offset(r) square([w - 2 * r, h - 2 * r], center = true);
}

module corners(x, y) {
  for (i = [-1, 1], j = [-1, 1]) translate([i * x, j * y, 0]) children();
}

// where the Pi's holes are: its sockets look down, so the far holes are above
module at_pi_holes() {
  low = pi_y - pi_length / 2 + pi_length - pi_hole_edge - pi_hole_length;
  for (i = [-1, 1], j = [0, 1])
    translate([pi_x + i * pi_hole_width / 2, low + j * pi_hole_length, 0]) children();
}

module at_camera_holes() {
  for (i = [-1, 1], j = [0, 1])
    translate([i * camera_hole_width / 2, window_y + j * camera_hole_height, 0]) children();
}

camera_face = depth - wall - pane_thick + recess - camera_lens;  // z of the board's face

module ring(outside, inside, d) {
  difference() {
    cylinder(d = outside, h = d);
    translate([0, 0, -e]) cylinder(d = inside, h = d + 2 * e);
  }
}

module back() {
  difference() {
    union() {
      slab(width, height, plate, corner);
      // a rib inside the front's rim keeps it in place, and water out of the gasket
      difference() {
        slab(width - 2 * rim - 2 * slack, height - 2 * rim - 2 * slack, plate + 3, 2);
        translate([0, 0, -e]) slab(width - 2 * rim - 5, height - 2 * rim - 5, plate + 4, 1);
        corners(screw_x, screw_y) translate([0, 0, plate]) cylinder(d = column + 2 * slack + 1, h = 4);
      }
      at_pi_holes() cylinder(d = 6.5, h = plate + pi_stand);
      translate([switch_x - switch_wide / 2, switch_y - switch_long / 2 - 1.5, 0])
        cube([switch_wide, switch_long + 3, plate + switch_stand]);
    }
    // the groove is under the middle of the front's rim
    translate([0, 0, plate - groove_deep]) difference() {
      slab(width - rim + groove_wide, height - rim + groove_wide, 20, corner - rim / 2 + groove_wide / 2);
      translate([0, 0, -e])
        slab(width - rim - groove_wide, height - rim - groove_wide, 21, corner - rim / 2 - groove_wide / 2);
    }
    at_pi_holes() translate([0, 0, 1.5]) cylinder(d = pi_screw, h = 30);
    corners(screw_x, screw_y) translate([0, 0, -e]) {
      cylinder(d = screw_hole, h = plate + 1);
      cylinder(d = nut / cos(30), h = nut_deep, $fn = 6);
    }
    for (i = [-1, 1]) translate([i * key_x, key_y, -e]) {
      cylinder(d = key_head, h = plate + 1);
      hull() {
        cylinder(d = key_neck, h = plate + 1);
        translate([0, 9, 0]) cylinder(d = key_neck, h = plate + 1);
      }
    }
    translate([0, -76, -e]) cylinder(d = key_neck, h = plate + 1);
    translate([0, cable_y, -e]) cylinder(d = cable, h = plate + 1);
    for (j = [-1, 1]) translate([switch_x, switch_y + j * switch_holes / 2, 1.5])
      cylinder(d = switch_screw, h = 30);
  }
}

// the room inside: narrower at the rim, then widening at 45 degrees, which prints without support
module room() {
  translate([0, 0, plate - e]) slab(width - 2 * rim, height - 2 * rim, rim_high + 2 * e, 2);
  hull() {
    translate([0, 0, plate + rim_high]) slab(width - 2 * rim, height - 2 * rim, e, 2);
    translate([0, 0, plate + rim_high + rim - wall]) slab(width - 2 * wall, height - 2 * wall, e, corner - wall);
  }
  translate([0, 0, plate + rim_high + rim - wall])
    slab(width - 2 * wall, height - 2 * wall, inner_depth - rim_high - rim + wall, corner - wall);
}

module front() {
  difference() {
    union() {
      difference() {
        translate([0, 0, plate]) slab(width, height, depth - plate, corner);
        room();
      }
      corners(screw_x, screw_y) translate([0, 0, plate]) cylinder(d = column, h = depth - plate - e);
      at_camera_holes() translate([0, 0, camera_face]) cylinder(d = camera_post, h = depth - wall - camera_face + e);
      // the post that holds the tamper switch down
      translate([switch_x, switch_y, plate + switch_stand + switch_tall])
        cylinder(d = post, h = depth - wall - plate - switch_stand - switch_tall + e);
    }
    corners(screw_x, screw_y) translate([0, 0, plate - e]) {
      cylinder(d = screw_hole, h = depth);
      translate([0, 0, screw_under]) cylinder(d = screw_head, h = depth);
    }
    at_camera_holes() translate([0, 0, camera_face - e]) cylinder(d = camera_screw, h = 7);
    // window: a bevel outside, the recess of the pane inside
    translate([0, window_y, depth - wall - e]) {
      linear_extrude(wall + 1) square([window_wide, window_high], center = true);
      translate([0, 0, wall - 1.2])
        linear_extrude(1.3, scale = [(window_wide + 3) / window_wide, (window_high + 3) / window_high])
          square([window_wide, window_high], center = true);
      linear_extrude(recess) square([pane_wide + slack, pane_high + slack], center = true);
    }
    for (i = [-1, 1]) translate([i * lamp_x, lamp_y, 0]) {
      translate([0, 0, depth - wall - e]) slab(lamp_wide, lamp_high, wall + 1, 2);
      translate([0, 0, depth - wall - e]) slab(lamp_wide + 6, lamp_high + 6, recess, 2);
    }
    for (i = [-1, 1]) translate([i * light_x, light_y, depth - wall - 1]) cylinder(d = light_hole, h = wall + 2);
    translate([0, button_y, depth - wall - 1]) cylinder(d = light_hole, h = wall + 2);
    for (r = [0, 1, 2], a = [0 : 60 / max(r, 1) : 359])
      translate([r * 4 * cos(a), sound_y + r * 4 * sin(a), depth - wall - 1])
        cylinder(d = 2, h = wall + 2, $fn = 16);
    // drain for water
    translate([0, -height / 2 - 1, plate + 4]) rotate([-90, 0, 0]) cylinder(d = 3, h = rim + 2);
  }
}

// Contents that must fit. Sockets down, so the header is on the right and the USB-C plug on the left.
module computer() {
  translate([pi_x - pi_width / 2, pi_y - pi_length / 2, plate + pi_stand + e])
    cube([pi_width, pi_length, pi_board + pi_tall]);
  // plugs below the sockets stand 12 out, the USB-C plug 18
  translate([pi_x - pi_width / 2, pi_y - pi_length / 2 - 12, plate + pi_stand + pi_board])
    cube([pi_width, 12, 15]);
  translate([pi_x - pi_width / 2 - 18, pi_y + pi_length / 2 - 18, plate + pi_stand]) cube([18, 14, 8]);
}

module camera() {
  translate([-camera_width / 2, window_y + camera_hole_height + camera_hole_edge - camera_height, camera_face - 1 - camera_behind])
    cube([camera_width, camera_height, 1 + camera_behind - slack]);
  translate([-4.5, window_y - 4.5, camera_face]) cube([9, 9, camera_lens - 1]);
  translate([-pane_wide / 2, window_y - pane_high / 2, depth - wall + recess - pane_thick - slack])
    cube([pane_wide, pane_high, pane_thick]);
}

module panel() {
  for (i = [-1, 1]) translate([i * light_x, light_y, depth - wall - light_deep]) cylinder(d = light_body, h = light_deep - slack);
  translate([0, button_y, depth - wall - button_deep]) cylinder(d = light_body, h = button_deep - slack);
}

module switch() {
  translate([switch_x - switch_wide / 2, switch_y - switch_long / 2, plate + switch_stand + slack])
    cube([switch_wide, switch_long, switch_tall - 2 * slack]);
}

module contents() {
  computer();
  camera();
  panel();
  switch();
}

module clash() {
  // each of these must be empty
  intersection() { contents(); union() { front(); back(); } }
  intersection() { front(); translate([0, 0, -e]) back(); }
  intersection() { computer(); union() { camera(); panel(); switch(); } }
  intersection() { camera(); union() { panel(); switch(); } }
  intersection() { panel(); switch(); }
  // space for the screws
  intersection() {
    corners(screw_x, screw_y) translate([0, 0, -1]) cylinder(d = 4, h = depth + 2);
    union() { front(); back(); contents(); }
  }
}

if (part == "front") translate([0, 0, depth]) rotate([180, 0, 0]) front();  // printing position: face down
if (part == "back") back();
if (part == "clash") clash();
if (part == "contents") contents();
if (part == "all") { back(); front(); }
