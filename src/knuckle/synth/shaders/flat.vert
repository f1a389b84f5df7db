#version 330
// Draws only which thing is where, and with another projection the depth a lamp sees.
in vec3 position;
in float label;
uniform mat4 projection;
flat out float value;

void main() {
    value = label;
    gl_Position = projection * vec4(position, 1.0);
}
