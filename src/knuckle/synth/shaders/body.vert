#version 330
// A body's vertices are posed already; this only lights them coarsely and projects them.
in vec3 position;
in vec3 normal;
in vec3 place;     // on the average adult
in float kind;     // layer
in float arm;      // along the arm: 0 shoulder, 1 elbow, 2 wrist
in float volar;    // of the forearm's skin: 1 on the palm's side near the wrist
uniform mat4 projection;
uniform mat4 to_lamp;
uniform vec3 ambient[9];
out vec3 at;
out vec3 facing;
out vec3 sky;
out vec3 here;
out vec3 along;  // arm, volar, kind
out vec4 lamp_at;

vec3 irradiance(vec3 n) {
    return ambient[0] * 0.282095 + 0.488603 * (ambient[1] * n.y + ambient[2] * n.z + ambient[3] * n.x)
        + 1.092548 * (ambient[4] * n.x * n.y + ambient[5] * n.y * n.z + ambient[7] * n.x * n.z)
        + ambient[6] * 0.315392 * (3.0 * n.z * n.z - 1.0) + ambient[8] * 0.546274 * (n.x * n.x - n.y * n.y);
}

void main() {
    at = position;
    facing = normal;
    sky = max(irradiance(normal), 0.0);
    here = place;
    along = vec3(arm, volar, kind);
    lamp_at = to_lamp * vec4(position + normal * 0.004, 1.0);
    gl_Position = projection * vec4(position, 1.0);
}
